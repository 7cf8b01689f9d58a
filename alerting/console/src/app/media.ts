// What the browser knows about the screen: its colour scheme and width, and the time that passes on it.
import { useEffect, useState, useSyncExternalStore } from "react";

/** Wide enough for the list and a preview side by side. */
export const SIDE_BY_SIDE = "(min-width: 1100px)";
export const DARK = "(prefers-color-scheme: dark)";

export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (listener) => {
      const media = matchMedia(query);
      media.addEventListener("change", listener);
      return () => media.removeEventListener("change", listener);
    },
    () => matchMedia(query).matches,
  );
}

/** The time, renewed every `everyMs`, for ages on the screen. */
export function useNow(everyMs = 1000): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
