"use strict";
// The page reads well without any of this: sorting, filters and the marked place are extras.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        const order = x - y || (isNaN(x - y) ? x.localeCompare(y) : 0);
        return down ? -order : order;
      });
      table.tBodies[0].append(...rows);
    });
  });
}

for (const table of document.querySelectorAll("table.filtered")) {
  const field = document.createElement("input");
  field.type = "search";
  field.className = "filter";
  field.placeholder = "only rows with ...";
  field.setAttribute("aria-label", "Show only rows that hold these words");
  table.parentElement.before(field);
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/);
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
}

const links = new Map();
for (const link of document.querySelectorAll(".contents a")) links.set(link.hash.slice(1), link);
const visible = new Set();
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) visible[entry.isIntersecting ? "add" : "delete"](entry.target.id);
  for (const link of links.values()) link.removeAttribute("aria-current");
  const first = [...links.keys()].find((id) => visible.has(id));
  if (first) links.get(first).setAttribute("aria-current", "true");
}, { rootMargin: "0px 0px -60% 0px" });
for (const section of document.querySelectorAll("main section")) watcher.observe(section);

const contents = document.querySelector(".contents");
if (matchMedia("(max-width: 65.99rem)").matches) contents.open = false;

const theme = document.getElementById("theme");
theme.hidden = false;
theme.addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

// Paper cannot be clicked: what is folded is printed open, except the lists of jobs.
const folded = [];
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details:not([open]):not(.step):not(.job)")) {
    folded.push(part);
    part.open = true;
  }
});
addEventListener("afterprint", () => folded.splice(0).forEach((part) => { part.open = false; }));
