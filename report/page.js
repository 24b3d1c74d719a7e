// Charts are drawn when they come near, so that a page with hundreds of columns opens at once.
const figures = JSON.parse(document.getElementById("figures").textContent);
const places = document.querySelectorAll("[data-figure]");
const waiting = new Set(places);
const draw = (place) => {
  const { data, layout } = figures[place.dataset.figure];
  Plotly.newPlot(place, data, layout, { responsive: true, displayModeBar: false });
  waiting.delete(place);
};
const near = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting && waiting.has(entry.target)).forEach((entry) => {
    near.unobserve(entry.target);
    draw(entry.target);
  }),
  { rootMargin: "800px" },
);
waiting.forEach((place) => near.observe(place));
// On paper all of them are there, and as wide as a sheet.
addEventListener("beforeprint", () => {
  waiting.forEach(draw);
  places.forEach((place) => Plotly.relayout(place, { width: Math.min(place.clientWidth, 660) }));
});
addEventListener("afterprint", () => {
  places.forEach((place) => Plotly.relayout(place, { width: null, autosize: true }));
});
// Inside another page's frame, as dashboards show it, links to a place on the page lead nowhere by themselves.
if (location.protocol === "about:") {
  document.querySelectorAll("nav a").forEach((link) => link.addEventListener("click", (event) => {
    event.preventDefault();
    document.querySelector(link.getAttribute("href")).scrollIntoView();
  }));
}
