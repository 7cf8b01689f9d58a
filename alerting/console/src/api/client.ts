// The one typed door to the server. Adds the CSRF token to every change and says when the session has ended.
import createClient from "openapi-fetch";

import { asFailure, Failure, failureOf } from "./problem";
import type { paths } from "./schema";

export const client = createClient<paths>({ baseUrl: "" });

/** The answer's body, or a thrown `Failure`. */
export async function ask<T>(request: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  let answer;
  try {
    answer = await request;
  } catch (thrown) {
    throw asFailure(thrown);
  }
  if (!answer.response.ok) throw failureOf(answer.response.status, answer.error);
  if (answer.data === undefined) throw new Failure("unavailable");
  return answer.data;
}

/** Options of a request that nobody caused, as the stream or a timer does: it keeps no session alive. */
export const BACKGROUND = { headers: { "x-xueliang-background": "1" } } as const;

/** The same where it depends. */
export function askedBy(round: { byItself: boolean }): typeof BACKGROUND | Record<string, never> {
  return round.byItself ? BACKGROUND : {};
}

/** The CSRF token of the current session; null when signed out. */
export function setCsrfToken(token: string | null): void {
  csrfToken = token;
}

/** Calls back when the server says that the session is over; returns the way to stop listening. */
export function onSessionEnded(listener: () => void): () => void {
  endedListeners.add(listener);
  return () => endedListeners.delete(listener);
}

/** The same token for requests whose body is a file. */
export function csrfHeader(): Record<string, string> {
  return csrfToken === null ? {} : { "x-csrf-token": csrfToken };
}

export function reportSessionEnded(): void {
  for (const listener of endedListeners) listener();
}

/** A key that makes a repeated command count once. `crypto.randomUUID` is missing on plain HTTP, this is not. */
export function idempotencyKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

let csrfToken: string | null = null;
const endedListeners = new Set<() => void>();

client.use({
  onRequest({ request }) {
    if (request.method !== "GET" && csrfToken !== null) request.headers.set("x-csrf-token", csrfToken);
    return request;
  },
  onResponse({ request, response }) {
    const isSignIn = request.method === "POST" && new URL(request.url).pathname.endsWith("/session");
    if (response.status === 401 && !isSignIn) reportSessionEnded();
  },
});
