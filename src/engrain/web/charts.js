// Numbers as inline SVG: lines over steps, bars with their intervals, a histogram. Colours are classes of the style sheet.

const SVG = "http://www.w3.org/2000/svg";

function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.flat());
  return element;
}

/** Round numbers from at most `low` to at least `high`, about so many. */
export function ticks(low, high, about) {
  const raw = (high - low || Math.abs(high) || 1) / about;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= raw * 0.999);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(high / step - 1e-9));
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** A number with as many digits as say something. */
export function plain(value) {
  if (value === 0) return "0";
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
  return Math.abs(value) >= 0.0001 ? String(Number(value.toPrecision(3))) : value.toExponential(0);
}

const asPercent = (value) => `${Math.round(100 * value)}%`;

/**
 * Lines over steps. `series` are {name, points: [[x, y], …], style}; `format` is plain or percent. What the chart shows
 * is said in words too, because a picture says nothing to those who do not see it.
 */
export function lines(series, title, { percent = false, end } = {}) {
  const shown = series.filter((one) => one.points.length > 0);
  const format = percent ? asPercent : plain;
  const [width, height, left, right, top, bottom] = [460, 200, 52, 12, 12, 28];
  const xs = shown.flatMap((one) => one.points.map((point) => point[0]));
  const ys = shown.flatMap((one) => one.points.map((point) => point[1]));
  const far = Math.max(end || 0, ...xs, 2);
  const levels = percent ? [0, 0.25, 0.5, 0.75, 1] : ticks(Math.min(0, ...ys), Math.max(...ys, 1e-9), 4);
  const [low, high] = [levels[0], levels.at(-1)];
  const x = (step) => left + ((step - 1) / Math.max(1, far - 1)) * (width - left - right);
  const y = (value) => height - bottom - ((value - low) / (high - low || 1)) * (height - top - bottom);
  const words = shown.map((one) => `${one.name} ${format(one.points.at(-1)[1])} at step ${one.points.at(-1)[0]}`).join("; ");
  const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": `${title}: ${words || "nothing measured yet"}` });
  for (const level of levels) {
    svg.append(s("line", { class: "grid", x1: left, x2: width - right, y1: y(level), y2: y(level) }));
    svg.append(s("text", { class: "tick", x: left - 8, y: y(level) + 4, "text-anchor": "end" }, format(level)));
  }
  for (const tick of ticks(1, far, 5).filter((value) => value >= 1 && value <= far)) {
    svg.append(s("text", { class: "tick", x: x(tick), y: height - 8, "text-anchor": "middle" }, plain(tick)));
  }
  for (const one of shown) {
    const path = thinned(one.points).map(([step, value]) => `${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join("L");
    svg.append(s("path", { class: `line ${one.style}`, d: `M${path}` }));
    if (one.points.length <= 24) for (const [step, value] of one.points) svg.append(s("circle", { class: `dot ${one.style}`, cx: x(step), cy: y(value), r: 3 }));
    const [step, value] = one.points.at(-1);
    svg.append(s("circle", { class: `dot ${one.style}`, cx: x(step), cy: y(value), r: 3.5 }, s("title", {}, `${one.name}: ${format(value)} at step ${step}`)));
  }
  return svg;
}

function thinned(points, most = 200) {
  const size = Math.ceil(points.length / most);
  if (size <= 1) return points;
  const groups = Array.from({ length: Math.ceil(points.length / size) }, (_, i) => points.slice(i * size, (i + 1) * size));
  return groups.map((group) => [0, 1].map((axis) => group.reduce((sum, point) => sum + point[axis], 0) / group.length));
}

/** Horizontal bars of shares with their 95% intervals. `rows` are {name, value, low, high, style, note}. */
export function bars(rows, title) {
  const [width, step, left] = [720, 46, 210];
  const scale = width - left - 120;
  const words = rows.map((row) => `${row.name} ${asPercent(row.value)}`).join("; ");
  const svg = s("svg", { viewBox: `0 0 ${width} ${rows.length * step + 24}`, class: "chart bars", role: "img", "aria-label": `${title}: ${words}` });
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    svg.append(s("line", { class: "grid", x1: left + share * scale, x2: left + share * scale, y1: 0, y2: rows.length * step }));
    svg.append(s("text", { class: "tick", x: left + share * scale, y: rows.length * step + 17, "text-anchor": "middle" }, asPercent(share)));
  }
  rows.forEach((row, number) => {
    const y = number * step + 10;
    const [low, high] = [left + row.low * scale, left + row.high * scale];
    svg.append(s("text", { class: "name", x: left - 12, y: y + 18, "text-anchor": "end" }, row.name));
    svg.append(s("rect", { class: `fill ${row.style}`, x: left, y, width: Math.max(2, row.value * scale), height: 26, rx: 5 }));
    svg.append(s("path", { class: "whisker", d: `M${low} ${y + 13}H${high}M${low} ${y + 8}v10M${high} ${y + 8}v10` }));
    svg.append(s("text", { class: "value", x: left + scale + 14, y: y + 18 }, asPercent(row.value), s("tspan", { class: "tick", dx: 8 }, row.note)));
  });
  return svg;
}

/** How many of something lie in each bin. `bins` are {low, high, count}. */
export function histogram(bins, title, unit) {
  const [width, height, left, bottom] = [720, 170, 44, 30];
  const most = Math.max(1, ...bins.map((bin) => bin.count));
  const levels = ticks(0, most, 3);
  const wide = (width - left - 8) / Math.max(1, bins.length);
  const y = (value) => height - bottom - (value / levels.at(-1)) * (height - bottom - 10);
  const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": `${title}: from ${bins[0]?.low} to ${bins.at(-1)?.high} ${unit}` });
  for (const level of levels) {
    svg.append(s("line", { class: "grid", x1: left, x2: width - 8, y1: y(level), y2: y(level) }));
    svg.append(s("text", { class: "tick", x: left - 8, y: y(level) + 4, "text-anchor": "end" }, plain(level)));
  }
  bins.forEach((bin, number) => {
    const name = bin.low === bin.high ? `${bin.low}` : `${bin.low}–${bin.high}`;
    const bar = { class: "fill c-tuned", x: left + number * wide + 1.5, width: Math.max(1, wide - 3), y: y(bin.count), height: height - bottom - y(bin.count), rx: 2 };
    svg.append(s("rect", bar, s("title", {}, `${bin.count} with ${name} ${unit}`)));
    if (number % Math.ceil(bins.length / 8) === 0) svg.append(s("text", { class: "tick", x: left + (number + 0.5) * wide, y: height - 10, "text-anchor": "middle" }, name));
  });
  return svg;
}
