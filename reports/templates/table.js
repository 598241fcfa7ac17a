"use strict";
// What only works with this script is hidden without it.
for (const part of document.querySelectorAll("[data-script]")) part.hidden = false;
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
    const value = (row) => row.cells[head.cellIndex].dataset.plain;
    const rows = Array.from(body.rows).sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      return turn * (numeric ? x - y : x.localeCompare(y));
    });
    body.append(...rows);
  });
}
{
  const table = document.getElementById("results");
  const filters = Array.from(document.querySelectorAll("[data-filter]"));
  const showAll = document.getElementById("all-rows");
  const byHand = document.getElementById("copy-by-hand");
  const said = document.getElementById("copied");
  const bodyRows = () => Array.from(table.tBodies).flatMap((body) => Array.from(body.rows));
  const shownRows = () => bodyRows().filter((row) => !row.hidden);

  // Show the rows that have every chosen value, and say how many they are.
  const filter = () => {
    const chosen = filters.filter((choice) => choice.value);
    const rows = bodyRows();
    for (const row of rows) row.hidden = chosen.some((choice) => row.dataset[choice.dataset.filter] !== choice.value);
    const only = chosen.map((choice) => `${choice.dataset.filter} ${choice.value}`).join(", ");
    const count = `${shownRows().length} of ${rows.length} rows shown`;
    document.getElementById("rows-shown").textContent = only ? `${count}: ${only}.` : `${count}.`;
    showAll.disabled = !chosen.length;
    said.textContent = "";
    byHand.hidden = true;
  };
  for (const choice of filters) choice.addEventListener("change", filter);
  showAll?.addEventListener("click", () => {
    for (const choice of filters) choice.value = "";
    filter();
    filters[0].focus();
  });

  // The columns as {title, digits, interval}, the shown rows as lists of {text} or {number, low, high}.
  const columns = () =>
    Array.from(table.tHead.rows[0].cells, (head) => ({
      title: head.textContent,
      digits: Number(head.dataset.digits),
      numeric: "digits" in head.dataset,
      interval: "interval" in head.dataset,
    }));
  const values = (row, heads) => {
    const cells = Array.from(row.cells);
    // a row without numbers: its last cell, which says why, stands for the remarks
    if (cells.length < heads.length) cells.splice(1, 0, ...Array(heads.length - cells.length).fill(null));
    return cells.map((cell) => cell?.dataset ?? { plain: "" });
  };

  // RFC 4180. A text that a spreadsheet would take for a formula gets an apostrophe.
  const csvText = (text) => `"${(/^\s*[=+\-@＝＋－＠]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  const csv = (heads, rows) => {
    const line = (fields) => `${fields.join(",")}\r\n`;
    const titles = heads.flatMap(({ title, interval }) => (interval ? [title, `${title} low`, `${title} high`] : [title]));
    const fields = (head, { plain, low = "", high = "" }) =>
      head.interval ? [plain, low, high] : [head.numeric ? plain : csvText(plain)];
    return line(titles.map(csvText)) + rows.map((row) => line(row.flatMap((cell, i) => fields(heads[i], cell)))).join("");
  };
  const markdownText = (text) =>
    text.replace(/[\\|`*_[\]~$]/g, "\\$&").replaceAll("&", "&amp;").replaceAll("<", "&lt;").replace(/\s+/g, " ");
  const markdown = (heads, rows) => {
    const line = (fields) => `| ${fields.join(" | ")} |\n`;
    const number = ({ plain, low, high }, { digits }) => {
      if (!plain) return "–";
      const [value, ...ends] = [plain, low, high].filter(Boolean).map((text) => Number(text).toFixed(digits));
      return ends.length ? `${value} (${ends.join("–")})` : value;
    };
    return (
      line(heads.map(({ title }) => markdownText(title))) +
      `|${heads.map(({ numeric }) => (numeric ? "---:|" : "---|")).join("")}\n` +
      rows.map((row) => line(row.map((cell, i) => (heads[i].numeric ? number(cell, heads[i]) : markdownText(cell.plain))))).join("")
    );
  };

  // A page opened from a file may not be allowed to write to the clipboard: then the reader copies the text.
  const copy = async (kind, name) => {
    const heads = columns();
    const rows = shownRows().map((row) => values(row, heads));
    const text = { csv, markdown }[kind](heads, rows);
    said.textContent = "";
    byHand.hidden = true;
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = `Copied as ${name}: ${rows.length} row${rows.length === 1 ? "" : "s"} below the headings.`;
    } catch {
      const area = document.getElementById("copy-text");
      area.value = text;
      byHand.hidden = false;
      area.focus();
      area.select();
      said.textContent = `Not copied: the browser does not allow it. The ${name} stands below, selected: copy it with Ctrl+C or ⌘C.`;
    }
  };
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", () => copy(button.dataset.copy, { csv: "CSV", markdown: "Markdown" }[button.dataset.copy]));
  }
  document.getElementById("copy-done")?.addEventListener("click", () => {
    byHand.hidden = true;
    said.textContent = "";
    document.querySelector("[data-copy]").focus();
  });
}
