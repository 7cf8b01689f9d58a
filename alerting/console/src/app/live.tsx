// The one live stream of a signed-in console. Pages subscribe to it; `epoch` rises when it comes back after a gap, which is when they reload.
// The server also says on it which of its parts do not work.
import { createContext, use, useEffect, useMemo, useRef, useState, type ReactNode } from "react";

import { reportSessionEnded } from "../api/client";
import { LiveStream, type StreamState } from "../api/stream";
import type { Device, IncidentSummary, Trouble } from "../api/types";

export type LiveChange = { kind: "incident"; incident: IncidentSummary } | { kind: "device"; device: Device };

type Listener = (change: LiveChange) => void;

interface Live {
  state: StreamState;
  /** When the present state began, as a UTC string. */
  since: string;
  epoch: number;
  /** The server's parts that do not work now, as far as it could say. */
  troubles: readonly Trouble[];
  subscribe: (listener: Listener) => () => void;
}

interface Connection {
  state: StreamState;
  since: string;
  epoch: number;
}

const STREAM_URL = "/api/v1/stream";
const Context = createContext<Live | null>(null);

export function LiveProvider({ children }: { children: ReactNode }) {
  const [connection, setConnection] = useState<Connection>(() => ({ state: "connecting", since: isoNow(), epoch: 0 }));
  const [troubles, setTroubles] = useState<readonly Trouble[]>([]);
  const listeners = useRef(new Set<Listener>());

  useEffect(() => {
    const stream = new LiveStream(STREAM_URL, {
      state: (state) => setConnection((before) => after(before, state)),
      message: ({ event, data }) => {
        if (event === "health") setTroubles(troublesOf(data));
        const change = changeOf(event, data);
        if (change !== null) for (const listener of listeners.current) listener(change);
      },
      sessionEnded: reportSessionEnded,
    });
    const retry = () => stream.retryNow();
    const drop = () => stream.drop();
    addEventListener("online", retry);
    addEventListener("offline", drop);
    void stream.run();
    return () => {
      removeEventListener("online", retry);
      removeEventListener("offline", drop);
      stream.stop();
    };
  }, []);

  const live = useMemo<Live>(
    () => ({
      ...connection,
      troubles,
      subscribe: (listener) => {
        listeners.current.add(listener);
        return () => listeners.current.delete(listener);
      },
    }),
    [connection, troubles],
  );
  return <Context value={live}>{children}</Context>;
}

export function useLive(): Live {
  const live = use(Context);
  if (live === null) throw new Error("useLive needs a LiveProvider");
  return live;
}

function after(before: Connection, state: StreamState): Connection {
  if (before.state === state) return before;
  return { state, since: isoNow(), epoch: state === "live" ? before.epoch + 1 : before.epoch };
}

function changeOf(event: string, data: string): LiveChange | null {
  try {
    if (event === "incident") return { kind: "incident", incident: JSON.parse(data) as IncidentSummary };
    if (event === "device") return { kind: "device", device: JSON.parse(data) as Device };
  } catch {
    // A message that isn't JSON is a defect of the server; the next reload repairs what it said.
  }
  return null;
}

function troublesOf(data: string): Trouble[] {
  try {
    return (JSON.parse(data) as { troubles: Trouble[] }).troubles;
  } catch {
    // As above.
    return [];
  }
}

function isoNow(): string {
  return new Date().toISOString();
}
