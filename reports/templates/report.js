"use strict";
// Sort the table by a column: numbers with the highest first, names with the first letter first; once more turns it round.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement;
    const numeric = head.classList.contains("number");
    const now = head.getAttribute("aria-sort");
    const direction = now ? (now === "ascending" ? "descending" : "ascending") : numeric ? "descending" : "ascending";
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", direction);
    const body = head.closest("table").tBodies[0];
    const turn = direction === "ascending" ? 1 : -1;
    const value = (row) => row.children[head.cellIndex].dataset.sort;
    const rows = Array.from(body.rows).sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      return turn * (numeric ? x - y : x.localeCompare(y));
    });
    body.append(...rows);
  });
}
// Show the boxes of the chosen detector on every picture.
const chosen = document.getElementById("boxes-of");
const show = () => {
  for (const layer of document.querySelectorAll("[data-layer]")) {
    layer.toggleAttribute("hidden", layer.dataset.layer !== chosen.value);
  }
};
const turnTo = (step) => {
  chosen.selectedIndex = (chosen.selectedIndex + step + chosen.length) % chosen.length;
  show();
};
if (chosen) {
  chosen.addEventListener("change", show);
  document.getElementById("previous").addEventListener("click", () => turnTo(-1));
  document.getElementById("next").addEventListener("click", () => turnTo(1));
  const pictures = document.getElementById("pictures");
  document.getElementById("annotation").addEventListener("change", (event) => {
    pictures.classList.toggle("bare", !event.target.checked);
  });
  document.getElementById("large").addEventListener("change", (event) => {
    pictures.classList.toggle("large", event.target.checked);
  });
  show();
}
