// The duty person's day in a browser, against a running system that keeps finding incidents.
import { expect } from "vitest";

import { systemUnderTest, testAtDesk as test } from "./console";

const SYSTEM = systemUnderTest();
const SUSPECTED = '[role="option"][data-state="suspected"]';
/** Of one object each, so that there is a box to draw; a crowd has none. */
const ONE_OBJECT = ':is([data-category="zone_intrusion"], [data-category="fire_lane_blocked"])';

test("wrong_password_is_refused_in_words_and_right_one_opens_the_list", async ({ desk }) => {
  const { page } = desk;
  await desk.visit();
  await desk.fillSignIn("surely-not-this-one");
  await page.waitForSelector("text=账号或密码不正确");
  await desk.fillSignIn(SYSTEM.password);
  await page.waitForSelector(".duty");
  await desk.live();
});

test("list_fills_and_counts_up_by_itself", async ({ desk }) => {
  const { page } = desk;
  await desk.signIn();
  await desk.live();
  await page.waitForSelector(SUSPECTED, { timeout: 45_000 });
  const seen = () => page.$$eval("[data-incident]", (rows) => rows.map((row) => `${row.id} ${row.querySelector(".row-count")?.textContent ?? ""}`).join("\n"));
  const before = await seen();
  await expect.poll(seen, { timeout: 45_000 }).not.toBe(before);
});

test("new_rows_wait_while_one_is_selected_and_come_on_demand", async ({ desk }) => {
  const { page } = desk;
  await desk.signIn();
  await desk.live();
  await expect.poll(async () => (await desk.rows()).length, { timeout: 45_000 }).toBeGreaterThan(1);
  const [first = "", second = ""] = await desk.rows();
  await desk.report(first);
  await page.click('[data-filter="reported"]');
  await page.click(`[data-incident="${first}"]`);
  const before = await desk.rows();
  await desk.report(second);
  await page.waitForSelector(".new-bar");
  expect(await desk.rows()).toEqual(before);
  expect(await desk.selectedRow()).toBe(first);
  await page.keyboard.press("n");
  await page.waitForSelector(".new-bar", { state: "detached" });
  expect(await desk.rows()).toContain(second);
});

test("incident_page_shows_redacted_snapshot_with_box_events_and_note", async ({ desk }) => {
  const { page } = desk;
  await desk.signIn();
  await page.click(`${SUSPECTED}${ONE_OBJECT}:has(img.thumbnail)`, { timeout: 45_000 });
  const id = await desk.selectedRow();
  await page.keyboard.press("Enter");
  await page.waitForSelector(`article[data-incident="${id ?? ""}"]`);
  const image = page.locator(".snapshot img");
  await expect.poll(() => image.evaluate((img: HTMLImageElement) => img.naturalWidth)).toBeGreaterThan(0);
  await page.waitForSelector(".snapshot-box .box-line");
  expect(await page.locator(".events li").count()).toBeGreaterThan(0);
  expect(await page.locator(".timeline li").count()).toBeGreaterThan(0);
  await page.waitForSelector("text=检测结果只是线索，不作为证据");
  await page.goBack();
  await page.waitForSelector(".duty");
});

test("confirming_by_keyboard_moves_incident_to_reported", async ({ desk }) => {
  const { page } = desk;
  await desk.signIn();
  await page.waitForSelector(SUSPECTED);
  await page.keyboard.press("ArrowDown");
  const id = await desk.selectedRow();
  await page.keyboard.press("c");
  await page.waitForSelector(`${SUSPECTED}[data-incident="${id ?? ""}"]`, { state: "detached" });
  await page.click('[data-filter="reported"]');
  await page.waitForSelector(`[data-incident="${id ?? ""}"][data-state="reported"]`);
});

test("discarding_asks_for_a_reason_and_keeps_it", async ({ desk }) => {
  const { page } = desk;
  await desk.signIn();
  await page.waitForSelector(SUSPECTED);
  await page.keyboard.press("ArrowDown");
  const id = await desk.selectedRow();
  await page.keyboard.press("d");
  await page.waitForSelector('[role="dialog"] input[type="radio"]');
  await page.keyboard.press("Enter");
  await page.waitForSelector("text=必须选择原因");
  await page.keyboard.press("1");
  await page.keyboard.press("Enter");
  await page.waitForSelector(`[role="option"][data-incident="${id ?? ""}"]`, { state: "detached" });
  await desk.visit(`/incidents/${id ?? ""}`);
  await page.waitForSelector('article[data-state="discarded"]');
  await page.waitForSelector('.timeline [data-action="discard"] >> text=原因');
});

test("arrows_move_the_selection_and_escape_clears_it", async ({ desk }) => {
  const { page } = desk;
  await desk.signIn();
  await page.waitForSelector(SUSPECTED);
  await expect.poll(async () => (await desk.rows()).length, { timeout: 45_000 }).toBeGreaterThan(1);
  await page.keyboard.press("ArrowDown");
  const [first, second] = await desk.rows();
  expect(await desk.selectedRow()).toBe(first);
  await page.keyboard.press("ArrowDown");
  expect(await desk.selectedRow()).toBe(second);
  await page.keyboard.press("ArrowUp");
  expect(await desk.selectedRow()).toBe(first);
  await page.keyboard.press("Escape");
  expect(await page.locator('[aria-selected="true"]').count()).toBe(0);
});

test("english_is_chosen_once_and_kept", async ({ desk }) => {
  const { page } = desk;
  await desk.signIn();
  await page.click("text=English");
  await page.waitForSelector("nav >> text=Duty");
  expect(await page.getAttribute("html", "lang")).toBe("en-GB");
  await page.reload();
  await page.waitForSelector("nav >> text=Duty");
});

test("devices_show_state_and_cause", async ({ desk }) => {
  const { page } = desk;
  await desk.signIn("/devices");
  await page.waitForSelector("tr[data-device] .device-state");
});

test("lost_connection_is_said_and_recovers", async ({ desk }) => {
  const { page } = desk;
  await desk.signIn();
  await desk.live();
  await page.context().setOffline(true);
  await page.waitForSelector('.connection[data-state="offline"]');
  await page.waitForSelector(".trouble-banner");
  await page.context().setOffline(false);
  await desk.live();
});

test("signing_out_leads_back_to_sign_in_and_ends_the_session", async ({ desk }) => {
  const { page } = desk;
  await desk.signIn();
  await page.click("header .plain-button:last-child");
  await page.click("text=退出登录");
  await page.waitForSelector(".sign-in");
  await page.reload();
  await page.waitForSelector(".sign-in");
});

test("session_that_ended_elsewhere_leads_back_to_sign_in_with_the_cause", async ({ desk }) => {
  const { page } = desk;
  await desk.signIn();
  await desk.live();
  await page.context().clearCookies();
  // The page may notice by itself before the click does.
  await page.evaluate(() => document.querySelector<HTMLElement>('[data-filter="all"]')?.click());
  await page.waitForSelector("text=登录已过期");
});
