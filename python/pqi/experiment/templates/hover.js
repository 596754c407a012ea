// Shows the values of the points nearest to the pointer. Coordinates are in thousandths of the figure.
for (const plot of document.querySelectorAll(".plot")) {
  const curves = JSON.parse(plot.querySelector("script").textContent);
  const dot = plot.querySelector(".dot");
  const tip = plot.querySelector(".tip");
  const points = curves.flatMap((curve) =>
    curve.texts.map((text, n) => ({ x: curve.at[2 * n], y: curve.at[2 * n + 1], label: curve.label, text })),
  );
  const hide = () => { dot.hidden = tip.hidden = true; };
  const show = (event) => {
    const box = plot.getBoundingClientRect();
    const distance = (point, x, y) =>
      Math.hypot((point.x / 1000) * box.width - x, (point.y / 1000) * box.height - y);
    const x = event.clientX - box.left;
    const y = event.clientY - box.top;
    const near = points.reduce((best, point) => (!best || distance(point, x, y) < distance(best, x, y) ? point : best), null);
    if (!near || distance(near, x, y) > 24) return hide();
    const left = (near.x / 1000) * box.width;
    const top = (near.y / 1000) * box.height;
    const lines = points.filter((point) => distance(point, left, top) < 4).slice(0, 6);
    tip.replaceChildren(...lines.map((point) => {
      const line = document.createElement("div");
      const name = document.createElement("b");
      name.textContent = point.label;
      line.append(name, " ", point.text);
      return line;
    }));
    dot.hidden = tip.hidden = false;
    dot.style.left = left + "px";
    dot.style.top = top + "px";
    tip.style.top = top + 12 + "px";
    tip.style.left = Math.max(0, Math.min(left + 12, box.width - tip.offsetWidth)) + "px";
  };
  plot.addEventListener("pointermove", show);
  plot.addEventListener("pointerdown", show);
  plot.addEventListener("pointerleave", hide);
}
