// Renews what is shown when there is something new, and what a page without scripts has no need of. Everything works
// without.

// What is live is replaced piece by piece, so that focus, selection and what somebody types stay.
async function renew() {
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const old of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(old.id);
    const selection = getSelection();
    const isUsed = old.contains(document.activeElement)
      || (!selection.isCollapsed && old.contains(selection.anchorNode))
      || old.querySelector("details[open]");
    if (next && !isUsed && next.outerHTML !== old.outerHTML) old.replaceWith(next);
  }
}

// One stream tells of new boards; nobody asks for them while the page is hidden.
let source;
let isRenewing = false;
function listen() {
  if (document.hidden || source || !document.querySelector("[data-live]")) return;
  source = new EventSource("/live");
  source.addEventListener("board", async () => {
    if (isRenewing) return;
    isRenewing = true;
    try {
      await renew();
    } catch {
      // The daemon is away; what is on the page stays.
    } finally {
      isRenewing = false;
    }
  });
}
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    source?.close();
    source = undefined;
  } else {
    listen();
  }
});
listen();

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });
}

for (const button of document.querySelectorAll("[data-tick]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const boxes = [...button.form.querySelectorAll("input[type=checkbox]")];
    const areAll = boxes.every((box) => box.checked);
    for (const box of boxes) box.checked = !areAll;
  });
}
