// Each cell knows its column, for the narrow layout of site.css.
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll(".content table.docutils")) {
    const labels = [...table.querySelectorAll("thead th")].map((cell) => cell.textContent.trim());
    for (const row of table.querySelectorAll("tbody tr")) {
      [...row.children].forEach((cell, index) => labels[index] && (cell.dataset.label = labels[index]));
    }
  }
});
