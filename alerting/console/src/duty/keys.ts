// Which key does what in the duty list. Pure; keys that belong to a field, a button or a dialog are left alone.

export type DutyKey = "up" | "down" | "open" | "confirm" | "discard" | "new" | "clear";

interface KeyPress {
  key: string;
  modified: boolean;
  /** The focused element's tag and whether a dialog is open. */
  focused: string;
  inDialog: boolean;
}

const KEYS: Record<string, DutyKey> = {
  ArrowUp: "up",
  ArrowDown: "down",
  k: "up",
  j: "down",
  Enter: "open",
  c: "confirm",
  d: "discard",
  n: "new",
  Escape: "clear",
};

const TYPING = ["INPUT", "TEXTAREA", "SELECT"];
const PRESSABLE = ["BUTTON", "A"];

export function dutyKey({ key, modified, focused, inDialog }: KeyPress): DutyKey | null {
  if (modified || inDialog || TYPING.includes(focused)) return null;
  const meaning = KEYS[key.length === 1 ? key.toLowerCase() : key] ?? null;
  return meaning === "open" && PRESSABLE.includes(focused) ? null : meaning;
}

export function keyPress(event: KeyboardEvent): KeyPress {
  return {
    key: event.key,
    modified: event.ctrlKey || event.metaKey || event.altKey,
    focused: event.target instanceof HTMLElement ? event.target.tagName : "",
    inDialog: document.querySelector('[role="dialog"]') !== null,
  };
}
