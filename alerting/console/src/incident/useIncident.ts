// One incident as the server has it, reloaded when the stream says that it has changed.
import { useCallback, useEffect, useRef, useState } from "react";

import { ask, askedBy, client } from "../api/client";
import { asFailure, type Failure } from "../api/problem";
import type { Incident } from "../api/types";
import { useLive } from "../app/live";
import { useRounds } from "../app/useRounds";

export interface IncidentLoad {
  incident: Incident | null;
  failure: Failure | null;
  reload: () => void;
  /** Takes over what a command answered. */
  replace: (incident: Incident) => void;
}

/** A busy incident changes with every event; it is not asked for more often than this. */
const RELOAD_EVERY_MS = 1000;

export function useIncident(id: string | null): IncidentLoad {
  const { subscribe } = useLive();
  const { round, reload, refresh } = useRounds(id);
  const [incident, setIncident] = useState<Incident | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const pending = useRef<ReturnType<typeof setTimeout> | null>(null);

  useEffect(() => {
    const { key } = round;
    if (key === null) return;
    let current = true;
    ask(client.GET("/api/v1/incidents/{id}", { params: { path: { id: key } }, ...askedBy(round) })).then(
      (loaded) => {
        if (!current) return;
        setIncident(loaded);
        setFailure(null);
      },
      (thrown: unknown) => {
        if (current) setFailure(asFailure(thrown));
      },
    );
    return () => {
      current = false;
    };
  }, [round]);

  const version = incident !== null && incident.id === id ? incident.version : 0;

  useEffect(() => {
    const stop = subscribe((change) => {
      if (change.kind !== "incident" || change.incident.id !== id || change.incident.version <= version) return;
      pending.current ??= setTimeout(() => {
        pending.current = null;
        refresh();
      }, RELOAD_EVERY_MS);
    });
    return stop;
  }, [subscribe, id, version, refresh]);

  useEffect(
    () => () => {
      if (pending.current !== null) clearTimeout(pending.current);
      pending.current = null;
    },
    [id],
  );

  const replace = useCallback((next: Incident) => setIncident(next), []);
  const ofThisId = incident !== null && incident.id === id;
  return { incident: ofThisId ? incident : null, failure: id === null || ofThisId ? null : failure, reload, replace };
}
