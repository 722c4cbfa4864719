// Swagger UI has a dark theme but does not follow the preference of the operating system. This script switches it.
const dark = matchMedia("(prefers-color-scheme: dark)");
const applyTheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", applyTheme);
applyTheme();

// Swagger UI's list of servers has no label for screen readers.
new MutationObserver(() => {
  document.getElementById("servers")?.setAttribute("aria-label", "Server");
}).observe(document.documentElement, { childList: true, subtree: true });
