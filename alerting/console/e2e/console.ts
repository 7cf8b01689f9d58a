// The console in a real browser: starts Debian's Chromium with a fresh profile, signs in, and records what must never happen,
// an error on the browser's console or a request that leaves the origin.
import { mkdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium, type BrowserContext, type Page } from "playwright-core";
import { expect, test } from "vitest";

export interface System {
  url: string;
  account: string;
  password: string;
}

/** How the screen is: small or large, light or dark. */
export interface Screen {
  width: number;
  height: number;
  scheme: "light" | "dark";
}

export const DESK: Screen = { width: 1366, height: 768, scheme: "light" };
export const PHONE: Screen = { width: 390, height: 844, scheme: "light" };

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export function systemUnderTest(): System {
  return { url: setting("XUELIANG_URL"), account: setting("XUELIANG_ACCOUNT"), password: setting("XUELIANG_PASSWORD") };
}

export class Console {
  readonly page: Page;
  /** Errors on the browser's console and requests to elsewhere; both have to stay empty. */
  readonly faults: string[] = [];
  private readonly context: BrowserContext;
  private readonly profile: string;
  private readonly system: System;

  private constructor(system: System, context: BrowserContext, page: Page, profile: string) {
    this.system = system;
    this.context = context;
    this.page = page;
    this.profile = profile;
    this.watch();
  }

  static async open(system: System, screen: Screen = DESK): Promise<Console> {
    const profile = await mkdtemp(join(tmpdir(), "xueliang-browser-"));
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      headless: true,
      args: FLAGS,
      viewport: { width: screen.width, height: screen.height },
      colorScheme: screen.scheme,
      locale: "zh-CN",
    });
    const page = context.pages()[0] ?? (await context.newPage());
    page.setDefaultTimeout(20_000);
    return new Console(system, context, page, profile);
  }

  async close(): Promise<void> {
    await this.context.close();
    await rm(this.profile, { recursive: true, force: true });
  }

  async visit(path = "/"): Promise<void> {
    await this.page.goto(new URL(path, this.system.url).href);
  }

  async fillSignIn(password: string): Promise<void> {
    await this.page.fill('input[autocomplete="username"]', this.system.account);
    await this.page.fill('input[autocomplete="current-password"]', password);
    await this.page.click('button[type="submit"]');
  }

  async signIn(path = "/"): Promise<void> {
    await this.visit(path);
    await this.fillSignIn(this.system.password);
    await this.page.waitForSelector("header.bar");
  }

  /** Waits until the stream is connected. */
  async live(): Promise<void> {
    await this.page.waitForSelector('.connection[data-state="live"]');
  }

  /** Reports an incident as somebody else at the same desk would: by the API, past the page. */
  async report(id: string): Promise<void> {
    const api = new URL("/api/v1/", this.system.url).href;
    const { csrf_token } = (await (await this.page.request.get(`${api}session`)).json()) as { csrf_token: string };
    const { version } = (await (await this.page.request.get(`${api}incidents/${id}`)).json()) as { version: number };
    const answer = await this.page.request.post(`${api}incidents/${id}/commands`, {
      headers: { "x-csrf-token": csrf_token, "idempotency-key": `e2e-${id}-${version}` },
      data: { command: "report", version },
    });
    if (!answer.ok()) throw new Error(`reporting ${id} answered ${answer.status()}: ${await answer.text()}`);
  }

  /** The ids of the rows on the screen, top first. */
  rows(): Promise<string[]> {
    return this.page.$$eval("[data-incident]", (rows) => rows.map((row) => row.getAttribute("data-incident") ?? ""));
  }

  selectedRow(): Promise<string | null> {
    return this.page.getAttribute('[role="option"][aria-selected="true"]', "data-incident");
  }

  /** Keeps a picture for people to look at, when a folder for them is named. */
  async picture(name: string): Promise<void> {
    const folder = process.env.XUELIANG_SCREENSHOTS;
    if (folder === undefined) return;
    mkdirSync(folder, { recursive: true });
    await this.page.screenshot({ path: join(folder, `${name}.png`) });
  }

  private watch(): void {
    const origin = new URL(this.system.url).origin;
    this.page.on("request", (request) => {
      const url = new URL(request.url());
      if (["http:", "https:", "ws:", "wss:"].includes(url.protocol) && url.origin !== origin) this.faults.push(`request to ${url.href}`);
    });
    this.page.on("pageerror", (error) => this.faults.push(`uncaught ${error.message}`));
    this.page.on("console", (message) => {
      // The browser itself reports refused requests; which are meant to be refused, a test says by its own assertions.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) this.faults.push(message.text());
    });
  }
}

/** A test of somebody at a desk: each has a browser of its own, in which nothing may have gone wrong at the end. */
export const testAtDesk = test.extend<{ desk: Console }>({
  // Vitest reads the names of what this needs from the pattern: nothing.
  desk: async ({}, run) => {
    const desk = await Console.open(systemUnderTest());
    await run(desk);
    const { faults } = desk;
    await desk.close();
    expect(faults).toEqual([]);
  },
});

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === "") throw new Error(`${name} is not set: these tests need a running system`);
  return value;
}
