"""Image classification: pictures read and checked, backbones, scores, the build."""
