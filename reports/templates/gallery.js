// Show the boxes of the chosen detector, on the images of the chosen kind; say how many they are.
{
  const detector = document.getElementById("boxes-of");
  const kind = document.getElementById("kind");
  const images = document.getElementById("images");
  const isOfKind = {
    all: () => true,
    missed: (figure) => figure.querySelector(`.found[data-layer="${detector.value}"]`).dataset.missed > 0,
    alarms: (figure) => figure.querySelector(`.found[data-layer="${detector.value}"]`).dataset.alarms > 0,
    differs: (figure) => "differs" in figure.dataset,
  };
  const show = () => {
    for (const layer of images.querySelectorAll("[data-layer]")) {
      layer.toggleAttribute("hidden", layer.dataset.layer !== detector.value);
    }
    const figures = Array.from(images.children);
    for (const figure of figures) figure.hidden = !isOfKind[kind.value](figure);
    const shown = figures.filter((figure) => !figure.hidden).length;
    const name = detector.selectedOptions[0].text;
    const which = {
      all: `with the boxes of ${name}`,
      missed: `those with faces that ${name} misses`,
      alarms: `those with false alarms of ${name}`,
      differs: `those where the detectors differ in the faces found, with the boxes of ${name}`,
    }[kind.value];
    document.getElementById("images-shown").textContent = `${shown} of ${figures.length} images shown, ${which}.`;
  };
  const turnTo = (step) => {
    detector.selectedIndex = (detector.selectedIndex + step + detector.length) % detector.length;
    show();
  };
  if (images) {
    detector.addEventListener("change", show);
    kind.addEventListener("change", show);
    document.getElementById("previous").addEventListener("click", () => turnTo(-1));
    document.getElementById("next").addEventListener("click", () => turnTo(1));
    document.getElementById("annotation").addEventListener("change", (event) => {
      images.classList.toggle("bare", !event.target.checked);
    });
    document.getElementById("large").addEventListener("change", (event) => {
      images.classList.toggle("large", event.target.checked);
    });
    show();
  }
}
