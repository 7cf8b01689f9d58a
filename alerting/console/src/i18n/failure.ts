// A failure as a sentence. The server's own detail is shown only where our words can't say what is wrong.
import type { Failure } from "../api/problem";
import type { Translator } from "./translate";

export function failureText(failure: Failure, { t }: Pick<Translator, "t">): string {
  return t(`failure.${failure.kind}`, { detail: failure.detail ?? "—" });
}
