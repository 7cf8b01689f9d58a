// What can go wrong with a request, in the terms a person needs: not the status, but what to do about it.

export type FailureKind =
  | "offline"
  | "signed_out"
  | "forbidden"
  | "not_found"
  | "conflict"
  | "too_many"
  | "invalid"
  | "unavailable";

export class Failure extends Error {
  readonly kind: FailureKind;
  readonly detail: string | null;

  constructor(kind: FailureKind, detail: string | null = null) {
    super(detail ?? kind);
    this.name = "Failure";
    this.kind = kind;
    this.detail = detail;
  }
}

/** The failure an HTTP status stands for; the detail is the server's own sentence, if it sent one. */
export function failureOf(status: number, body: unknown): Failure {
  return new Failure(kindOf(status), detailOf(body));
}

/** Anything thrown while asking the server, as a failure; a broken connection is the usual case. */
export function asFailure(thrown: unknown): Failure {
  return thrown instanceof Failure ? thrown : new Failure("offline");
}

function kindOf(status: number): FailureKind {
  switch (status) {
    case 401:
      return "signed_out";
    case 403:
      return "forbidden";
    case 404:
    case 410:
      return "not_found";
    case 409:
      return "conflict";
    case 429:
      return "too_many";
    default:
      return status >= 500 ? "unavailable" : "invalid";
  }
}

function detailOf(body: unknown): string | null {
  if (typeof body !== "object" || body === null || !("detail" in body)) return null;
  return typeof body.detail === "string" && body.detail !== "" ? body.detail : null;
}
