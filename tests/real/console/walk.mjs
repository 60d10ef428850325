// Walks through the console in a real browser: each page in light and dark, on a desk and on a phone, judged by axe-core,
// with a picture of each. Prints what is wrong, line by line.
// usage: node walk.mjs BASE PICTURES PATH...
import { createRequire } from "node:module";
import { mkdirSync } from "node:fs";
const require = createRequire(import.meta.url);
const { chromium } = require("playwright-core");
const axe = require.resolve("axe-core/axe.min.js");

const [base, pictures, ...paths] = process.argv.slice(2);
mkdirSync(pictures, { recursive: true });
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const wrong = [];
let looked = 0;
for (const colorScheme of ["light", "dark"]) {
  for (const width of [1280, 390]) {
    // axe is injected past the policy of the page, which forbids that to others.
    const context = await browser.newContext({ colorScheme, bypassCSP: true, viewport: { width, height: 900 } });
    const page = await context.newPage();
    const told = (what) => wrong.push(`${page.url()} ${colorScheme} ${width}: ${what}`);
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && !isAbsent && told(message.text()));
    page.on("pageerror", (error) => told(error.message));
    let isAbsent = false;
    for (const path of paths) {
      // Of a page that is not there the browser says so, too.
      isAbsent = path.endsWith("/999");
      await page.goto(base + path, { waitUntil: "domcontentloaded" });
      await page.evaluate(() => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
      await page.addScriptTag({ path: axe });
      const { violations } = await page.evaluate(() =>
        globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
      for (const { id, help, nodes } of violations) told(`${id}: ${help}: ${nodes.map((node) => node.html).join(" | ")}`);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (over > 0) told(`${over} px wider than the screen`);
      // By the keyboard alone everything is reached, in order, and one sees where one is.
      const reachable = await page.evaluate(() =>
        [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")]
          .filter((element) => element.checkVisibility() && !element.disabled).length);
      const reached = new Set();
      await page.evaluate(() => document.body.focus());
      for (let presses = 0; presses < reachable + 20 && reached.size < reachable; presses += 1) {
        await page.keyboard.press("Tab");
        const mark = await page.evaluate(() => {
          const element = document.activeElement;
          if (!element || element === document.body) return null;
          element.dataset.place ??= String(Math.random());
          const { outlineStyle, outlineWidth } = getComputedStyle(element);
          const isControl = element.matches("a, button, input, select, textarea, summary");
          return { place: isControl ? element.dataset.place : null, isSeen: outlineStyle !== "none" && outlineWidth !== "0px", html: element.outerHTML.slice(0, 100) };
        });
        if (!mark) continue;
        if (!mark.isSeen) told(`nobody sees that this has the focus: ${mark.html}`);
        if (mark.place) reached.add(mark.place);
      }
      if (reached.size < reachable) told(`the keyboard reaches ${reached.size} of ${reachable} controls`);
      looked += 1;
      const name = path.replace(/^\//, "").split("?")[0].replaceAll("/", "-") || "overview";
      await page.evaluate(() => { document.activeElement?.blur(); document.querySelectorAll("details[open]").forEach((each) => { each.open = false; }); scrollTo(0, 0); });
      await page.screenshot({ path: `${pictures}/${name}-${colorScheme}-${width}.png`, fullPage: true });
    }
    await context.close();
  }
}
await browser.close();
for (const each of wrong) console.log(each);
console.log(`looked at ${looked}`);
process.exit(wrong.length > 0 ? 1 : 0);
