// The duty list against the server: loads a filter's newest page, follows the stream, fetches older pages and the counts.
import { useCallback, useEffect, useRef, useState } from "react";

import { ask, askedBy, BACKGROUND, client } from "../api/client";
import { asFailure, type Failure } from "../api/problem";
import type { IncidentSummary } from "../api/types";
import { useLive } from "../app/live";
import { useRounds } from "../app/useRounds";
import { stateQuery, type Filter } from "./filters";
import { changed, emptyList, extended, handled, reloaded, settle, type DutyList } from "./list";

const PAGE = 50;
/** Counts are asked for after changes, at most this often. */
const COUNT_EVERY_MS = 1000;

export interface DutyListAccess {
  list: DutyList;
  counts: Record<string, number>;
  loaded: boolean;
  failure: Failure | null;
  hasOlder: boolean;
  loadOlder: () => void;
  reload: () => void;
  settle: () => void;
  /** Takes out what this person has just handled. */
  handled: (incident: IncidentSummary) => void;
}

export function useDutyList(filter: Filter, reading: boolean): DutyListAccess {
  const { subscribe } = useLive();
  const { round, reload } = useRounds(filter);
  const [list, setList] = useState<DutyList>(() => emptyList(filter));
  const [older, setOlder] = useState<string | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [loadedFor, setLoadedFor] = useState<Filter | null>(null);
  const { counts, setCounts, recount } = useCounts();
  const isReading = useRef(reading);
  useEffect(() => {
    isReading.current = reading;
  }, [reading]);

  useEffect(() => {
    let current = true;
    const { key } = round;
    requestPage(key, askedBy(round)).then(
      (page) => {
        if (!current) return;
        setList((before) => reloaded(before.filter === key ? before : emptyList(key), page.items, isReading.current));
        setCounts(page.counts);
        setOlder(page.next ?? null);
        setFailure(null);
        setLoadedFor(key);
      },
      (thrown: unknown) => {
        if (current) setFailure(asFailure(thrown));
      },
    );
    return () => {
      current = false;
    };
  }, [round, setCounts]);

  useEffect(
    () =>
      subscribe((change) => {
        if (change.kind !== "incident") return;
        setList((before) => changed(before, change.incident, isReading.current));
        recount();
      }),
    [subscribe, recount],
  );

  const loadOlder = useCallback(() => {
    if (older === null) return;
    requestPage(filter, {}, older).then(
      (page) => {
        setList((before) => (before.filter === filter ? extended(before, page.items) : before));
        setOlder(page.next ?? null);
      },
      (thrown: unknown) => setFailure(asFailure(thrown)),
    );
  }, [filter, older]);

  return {
    list: list.filter === filter ? list : emptyList(filter),
    counts,
    loaded: loadedFor === filter,
    failure,
    hasOlder: older !== null,
    loadOlder,
    reload,
    settle: useCallback(() => setList(settle), []),
    handled: useCallback((incident) => setList((before) => handled(before, incident)), []),
  };
}

function requestPage(filter: Filter, options: ReturnType<typeof askedBy>, before?: string) {
  const query = { ...stateQuery(filter), limit: PAGE, ...(before !== undefined && { before }) };
  return ask(client.GET("/api/v1/incidents", { params: { query }, ...options }));
}

function useCounts() {
  const [counts, setCounts] = useState<Record<string, number>>({});
  const due = useRef<ReturnType<typeof setTimeout> | null>(null);
  const recount = useCallback(() => {
    due.current ??= setTimeout(() => {
      due.current = null;
      ask(client.GET("/api/v1/incidents", { params: { query: { limit: 1 } }, ...BACKGROUND })).then(
        (page) => setCounts(page.counts),
        () => undefined,
      );
    }, COUNT_EVERY_MS);
  }, []);
  useEffect(
    () => () => {
      if (due.current !== null) clearTimeout(due.current);
      due.current = null;
    },
    [],
  );
  return { counts, setCounts, recount };
}
