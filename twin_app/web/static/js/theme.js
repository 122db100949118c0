// Light, dark, or as the system has it. Runs before the first paint, hence not a module.
(() => {
  const order = ["automatic", "light", "dark"];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let chosen = "automatic";
  try { chosen = localStorage.getItem("twin-theme") || chosen; } catch { /* no storage: automatic */ }
  const apply = () => {
    document.documentElement.dataset.theme = chosen === "automatic" ? (dark.matches ? "dark" : "light") : chosen;
    const button = document.getElementById("theme");
    if (button) {
      button.setAttribute("aria-label", `Colours: ${chosen}`);
      button.title = `Colours: ${chosen}`;
      button.textContent = { automatic: "◐", light: "☀", dark: "☾" }[chosen];
    }
    dispatchEvent(new CustomEvent("twin-theme"));
  };
  dark.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", () => {
      chosen = order[(order.indexOf(chosen) + 1) % order.length];
      try { localStorage.setItem("twin-theme", chosen); } catch { /* for this page only */ }
      apply();
    });
    apply();
  });
  apply();
})();
