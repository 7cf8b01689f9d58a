// Every page on each kind of screen: nothing wider than the screen, every page reachable from the bar, and a picture of it where a folder is named.
import { expect, test } from "vitest";

import { Console, DESK, PHONE, systemUnderTest, type Screen } from "./console";

const SYSTEM = systemUnderTest();
const SCREENS: [string, Screen][] = [
  ["desk-light", DESK],
  ["desk-dark", { ...DESK, scheme: "dark" }],
  ["phone-light", PHONE],
  ["phone-dark", { ...PHONE, scheme: "dark" }],
];

test.each(SCREENS.flatMap(([name, screen]) => [[name, "zh", screen] as const, [name, "en", screen] as const]))(
  "pages_fit_on_%s_in_%s",
  async (name, language, screen) => {
    const view = await Console.open(SYSTEM, screen);
    const { page } = view;
    const keep = async (what: string) => {
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), what).toBeLessThanOrEqual(0);
      expect(await page.evaluate(hiddenPages), what).toEqual([]);
      await view.picture(`${what}-${language}-${name}`);
    };
    try {
      await view.visit();
      if (language === "en") await page.click("text=English");
      await page.waitForSelector(".sign-in-card");
      await keep("sign-in");
      await view.fillSignIn(SYSTEM.password);
      await page.waitForSelector("[data-incident]");
      await page.waitForLoadState("load");
      await keep("duty");
      await page.click("[data-incident]:has(img.thumbnail)");
      await page.waitForSelector(".snapshot img");
      await keep(screen === PHONE || screen.width < 1100 ? "incident" : "duty-selected");
      await page.waitForSelector("[data-incident]");
      if (screen.width >= 1100) {
        await page.keyboard.press("d");
        await page.waitForSelector('[role="dialog"]');
        await keep("discard");
        await page.keyboard.press("Escape");
        await page.keyboard.press("Enter");
        await page.waitForSelector("article .snapshot img");
        await keep("incident");
      }
      await page.click('nav a[href="/devices"]');
      await page.waitForSelector("tr[data-device]");
      await keep("devices");
      await page.click('nav a[href="/counts"]');
      await page.waitForSelector('tr[data-nuisance^="rules/"]');
      await keep("counts");
      await page.click('nav a[href="/grants"]');
      await page.waitForSelector('[data-testid="ask"]');
      await page.click('[data-testid="ask"]');
      await page.waitForSelector('[role="dialog"]');
      await keep("grants");
      await page.keyboard.press("Escape");
      await page.context().setOffline(true);
      await page.waitForSelector('.connection[data-state="offline"]');
      await keep("offline");
      expect(view.faults).toEqual([]);
    } finally {
      await view.close();
    }
  },
);

/** The pages that the bar can't show whole. */
function hiddenPages(): (string | null)[] {
  const nav = document.querySelector(".bar-nav");
  if (nav === null) return [];
  const { right } = nav.getBoundingClientRect();
  return [...nav.children].filter((page) => page.getBoundingClientRect().right > right + 0.5).map((page) => page.textContent);
}
