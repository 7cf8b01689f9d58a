// Sends what a person has filled in: busy until the answer is there, and a failure in words. A success ends the form, so it stays
// busy then and can't be sent twice.
import { Alert } from "antd";
import { useState, type ReactNode } from "react";

import { asFailure, type Failure } from "../api/problem";
import { failureText } from "../i18n/failure";
import { useLanguage } from "../i18n/language";

interface Submission<T> {
  busy: boolean;
  failure: Failure | null;
  /** The failure as it is shown in a form; null while there is none. */
  notice: ReactNode;
  submit: (request: Promise<T>) => void;
}

export function useSubmit<T>(onDone: (answer: T) => void, onFailure?: (failure: Failure) => void): Submission<T> {
  const language = useLanguage();
  const [failure, setFailure] = useState<Failure | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = (request: Promise<T>) => {
    setBusy(true);
    setFailure(null);
    request.then(onDone, (thrown: unknown) => {
      const cause = asFailure(thrown);
      setFailure(cause);
      setBusy(false);
      onFailure?.(cause);
    });
  };
  const notice = failure === null ? null : <Alert type="error" showIcon title={failureText(failure, language)} className="dialog-failure" />;
  return { busy, failure, notice, submit };
}
