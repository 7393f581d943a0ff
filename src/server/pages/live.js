// Renews the page's content from the server. Without it the page is whole, only not live.
"use strict";
(() => {
  const seconds = Number(document.body.dataset.refresh);
  if (!(seconds > 0)) return;
  const lost = document.getElementById("lost");
  let failures = 0;

  const renew = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
      if (!answer.ok && answer.status !== 503) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const word = (page) => page.querySelector("[data-verdict]")?.dataset.verdict;
      const changed = word(document) !== word(fresh);
      for (const part of ["main", ".as-of"]) {
        const [old, next] = [document.querySelector(part), fresh.querySelector(part)];
        // What a person reads with the keyboard is not pulled away, unless the verdict changed.
        if (old && next && (changed || !old.contains(document.activeElement) || old === document.activeElement)) {
          old.replaceChildren(...next.childNodes);
        }
      }
      const icon = 'link[rel="icon"]';
      document.querySelector(icon).href = fresh.querySelector(icon).href;
      document.title = fresh.title;
      failures = 0;
      lost.textContent = changed ? `The verdict is now ${word(fresh)}.` : "";
    } catch {
      failures += 1;
      if (failures > 1) lost.textContent = "BLIND: the server does not answer. What is shown above is old.";
    }
  };

  setInterval(renew, seconds * 1000);
  document.addEventListener("visibilitychange", renew);
})();
