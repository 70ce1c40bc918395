"use strict";
// Sorting by a click on a column's head, and filtering by words. Without scripts the tables stay as they were written.
(() => {
  const key = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    const number = text === "" || text === "\u2013" ? NaN : Number(text.replace(/[,%\s]/g, ""));
    return [number, text.toLowerCase()];
  };
  const before = (one, other) => {
    if (Number.isNaN(one[0]) !== Number.isNaN(other[0])) return Number.isNaN(one[0]) ? 1 : -1;
    return Number.isNaN(one[0]) ? one[1].localeCompare(other[1]) : one[0] - other[0];
  };
  window.sortable = (table) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const body = table.tBodies[0];
        const rows = [...body.rows].map((row) => [key(row, column), row]);
        rows.sort((one, other) => {
          if (Number.isNaN(one[0][0]) !== Number.isNaN(other[0][0])) return before(one[0], other[0]);
          return down ? before(other[0], one[0]) : before(one[0], other[0]);
        });
        body.append(...rows.map((pair) => pair[1]));
      });
    });
    return table;
  };
  document.querySelectorAll("table.sortable").forEach(window.sortable);
  for (const line of document.querySelectorAll("input.words")) {
    line.closest(".find").hidden = false;
    const count = line.closest(".find").querySelector("output");
    line.addEventListener("input", () => {
      const words = line.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      let all = 0;
      for (const row of document.querySelectorAll("table.filtered tbody tr")) {
        const text = row.textContent.toLowerCase() + " " + (row.dataset.words ?? "").toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += row.hidden ? 0 : 1;
        all += 1;
      }
      count.textContent = words.length ? `${shown} of ${all}` : "";
    });
  }
})();
