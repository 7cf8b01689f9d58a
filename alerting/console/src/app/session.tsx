// Who is signed in. Asks the server once at start, follows sign-in and sign-out, and falls back when the session ends.
import { createContext, use, useCallback, useEffect, useMemo, useState, type ReactNode } from "react";

import { ask, BACKGROUND, client, onSessionEnded, setCsrfToken } from "../api/client";
import { asFailure } from "../api/problem";
import type { Session } from "../api/types";

export type SignedOutBecause = "start" | "expired" | "signed_out";

export type SessionState =
  | { kind: "checking" }
  | { kind: "unreachable" }
  | { kind: "signed_out"; because: SignedOutBecause }
  | { kind: "signed_in"; session: Session };

interface SessionAccess {
  state: SessionState;
  signIn: (account: string, password: string) => Promise<void>;
  signOut: () => Promise<void>;
}

const RETRY_MS = 3000;
const Context = createContext<SessionAccess | null>(null);

export function SessionProvider({ children }: { children: ReactNode }) {
  const [state, setState] = useState<SessionState>({ kind: "checking" });

  const begin = useCallback((session: Session) => {
    setCsrfToken(session.csrf_token);
    setState({ kind: "signed_in", session });
  }, []);

  const end = useCallback((because: SignedOutBecause) => {
    setCsrfToken(null);
    setState({ kind: "signed_out", because });
  }, []);

  useEffect(
    () =>
      onSessionEnded(() => {
        setCsrfToken(null);
        setState((now) => ({ kind: "signed_out", because: now.kind === "signed_in" ? "expired" : "start" }));
      }),
    [],
  );

  useEffect(() => {
    if (state.kind !== "checking" && state.kind !== "unreachable") return;
    const delay = state.kind === "checking" ? 0 : RETRY_MS;
    const timer = setTimeout(() => {
      const options = state.kind === "unreachable" ? BACKGROUND : {};
      ask(client.GET("/api/v1/session", options)).then(begin, (thrown: unknown) => {
        if (asFailure(thrown).kind !== "signed_out") setState({ kind: "unreachable" });
      });
    }, delay);
    return () => clearTimeout(timer);
  }, [state, begin]);

  const access = useMemo<SessionAccess>(
    () => ({
      state,
      signIn: async (account, password) => begin(await ask(client.POST("/api/v1/session", { body: { account, password } }))),
      signOut: async () => {
        await client.DELETE("/api/v1/session").catch(() => null);
        end("signed_out");
      },
    }),
    [state, begin, end],
  );
  return <Context value={access}>{children}</Context>;
}

export function useSession(): SessionAccess {
  const access = use(Context);
  if (access === null) throw new Error("useSession needs a SessionProvider");
  return access;
}
