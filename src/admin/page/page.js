// Renews the overview while somebody looks at it; everything works without.
if (location.pathname === "/") {
  setInterval(async () => {
    if (document.hidden || document.activeElement?.tagName === "BUTTON") return;
    try {
      const answer = await fetch("/");
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.querySelector("main").replaceWith(fresh.querySelector("main"));
    } catch {
      // The daemon is away; what is on the page stays.
    }
  }, 5000);
}
