// The console's addresses. Pure: text in, route out, and back.

export type Route =
  | { page: "duty" }
  | { page: "incident"; id: string }
  | { page: "devices" }
  | { page: "counts" }
  | { page: "grants" }
  | { page: "unknown" };

export function routeOf(path: string): Route {
  const parts = path.split("/").filter((part) => part !== "");
  const [first, second] = parts;
  if (first === undefined) return { page: "duty" };
  if (first === "devices" && parts.length === 1) return { page: "devices" };
  if (first === "grants" && parts.length === 1) return { page: "grants" };
  if (first === "counts" && parts.length === 1) return { page: "counts" };
  if (first === "incidents" && second !== undefined && parts.length === 2) return incidentRoute(second);
  return { page: "unknown" };
}

export function pathOf(route: Route): string {
  switch (route.page) {
    case "incident":
      return `/incidents/${encodeURIComponent(route.id)}`;
    case "devices":
      return "/devices";
    case "grants":
      return "/grants";
    case "counts":
      return "/counts";
    case "duty":
    case "unknown":
      return "/";
  }
}

function incidentRoute(encoded: string): Route {
  try {
    return { page: "incident", id: decodeURIComponent(encoded) };
  } catch {
    return { page: "unknown" };
  }
}
