const rows = [...document.querySelectorAll("article.question")];
const buttons = [...document.querySelectorAll("button[data-show]")];
const search = document.querySelector("#search");
const shown = document.querySelector("#shown");
let wanted = "all";

function filter() {
  const words = search.value.toLowerCase();
  let count = 0;
  for (const row of rows) {
    const fits = wanted === "all" || row.dataset.change === wanted || (row.dataset.tags || "").split(" ").includes(wanted);
    row.hidden = !(fits && row.textContent.toLowerCase().includes(words));
    count += row.hidden ? 0 : 1;
  }
  shown.textContent = `${count} of ${rows.length} shown`;
}

if (search) {
  document.querySelector("#filters").hidden = false;
  search.addEventListener("input", filter);
  for (const button of buttons) {
    button.addEventListener("click", () => {
      wanted = button.dataset.show;
      buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
      filter();
    });
  }
  filter();
}
