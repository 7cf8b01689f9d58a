// Moves between pages without a reload: the address bar is the state, the history API the store.
import { useSyncExternalStore, type AnchorHTMLAttributes, type MouseEvent } from "react";

import { pathOf, routeOf, type Route } from "./routes";

const MOVED = "xueliang:moved";

export function useRoute(): Route {
  return routeOf(useSyncExternalStore(subscribe, () => location.pathname));
}

export function go(route: Route): void {
  if (location.pathname === pathOf(route)) return;
  history.pushState(null, "", pathOf(route));
  dispatchEvent(new Event(MOVED));
}

type LinkAttributes = AnchorHTMLAttributes<HTMLAnchorElement> & { to: Route };

/** An ordinary link: opens in a new tab when asked to, and moves within the page otherwise. */
export function Link({ to, ...attributes }: LinkAttributes) {
  const follow = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  };
  return <a {...attributes} href={pathOf(to)} onClick={follow} />;
}

function subscribe(listener: () => void): () => void {
  addEventListener("popstate", listener);
  addEventListener(MOVED, listener);
  return () => {
    removeEventListener("popstate", listener);
    removeEventListener(MOVED, listener);
  };
}
