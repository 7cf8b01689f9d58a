// Addresses of redacted snapshots. Each view is registered by the server with its purpose and reason before it is served.
import { asFailure, failureOf } from "./problem";

/** Why an image is looked at, as the audit shall read it. */
export type ViewReason = "duty_list" | "incident_page";

export function snapshotUrl(incidentId: string, sha256: string, reason: ViewReason): string {
  const query = new URLSearchParams({ purpose: "incident_handling", reason });
  const path = `/api/v1/incidents/${encodeURIComponent(incidentId)}/snapshots/${encodeURIComponent(sha256)}`;
  return `${path}?${query.toString()}`;
}

/** The image itself; fails with the server's reason, which an `<img>` would swallow. */
export async function fetchImage(url: string, signal: AbortSignal): Promise<Blob> {
  let response;
  try {
    response = await fetch(url, { signal });
  } catch (thrown) {
    throw asFailure(thrown);
  }
  if (!response.ok) throw failureOf(response.status, await response.json().catch(() => null));
  return response.blob();
}
