// Pictures: addresses of redacted snapshots and of attachments, and the way to attach one. Each view is registered by the server
// with its purpose and reason before it is served.
import { csrfHeader, idempotencyKey } from "./client";
import { asFailure, failureOf } from "./problem";
import type { Incident } from "./types";

/** Why an image is looked at, as the audit shall read it. */
export type ViewReason = "duty_list" | "incident_page";

export function snapshotUrl(incidentId: string, sha256: string, reason: ViewReason): string {
  return pictureUrl(incidentId, "snapshots", sha256, reason);
}

export function attachmentUrl(incidentId: string, sha256: string): string {
  return pictureUrl(incidentId, "attachments", sha256, "incident_page");
}

function pictureUrl(incidentId: string, shelf: "snapshots" | "attachments", sha256: string, reason: ViewReason): string {
  const query = new URLSearchParams({ purpose: "incident_handling", reason });
  const path = `/api/v1/incidents/${encodeURIComponent(incidentId)}/${shelf}/${encodeURIComponent(sha256)}`;
  return `${path}?${query.toString()}`;
}

/** Attaches a picture; the incident afterwards. */
export async function attachPicture(incidentId: string, file: File): Promise<Incident> {
  const headers = { ...csrfHeader(), "content-type": file.type, "idempotency-key": idempotencyKey() };
  const url = `/api/v1/incidents/${encodeURIComponent(incidentId)}/attachments`;
  let response;
  try {
    response = await fetch(url, { method: "POST", headers, body: file });
  } catch (thrown) {
    throw asFailure(thrown);
  }
  if (!response.ok) throw failureOf(response.status, await response.json().catch(() => null));
  return (await response.json()) as Incident;
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
