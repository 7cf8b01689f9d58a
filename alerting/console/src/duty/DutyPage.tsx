// The duty page: what is to be confirmed, newest first, filling by itself; a preview beside it where the screen is wide.
import { Button } from "antd";
import { useEffect, useRef, useState } from "react";

import { SUSPECTED, type Incident } from "../api/types";
import { SIDE_BY_SIDE, useMedia } from "../app/media";
import { go } from "../app/navigation";
import { useSession } from "../app/session";
import { FailureNotice, Loading, Notice } from "../app/states";
import { useLanguage } from "../i18n/language";
import { DISCARD, REPORT } from "../incident/commands";
import { useCommands } from "../incident/useCommands";
import type { Filter } from "./filters";
import { FilterBar } from "./FilterBar";
import { IncidentRows } from "./IncidentRows";
import { dutyKey, keyPress } from "./keys";
import { neighbour, successor } from "./list";
import { Preview } from "./Preview";
import { ReportDialog } from "./ReportDialog";
import { useDutyList, type DutyListAccess } from "./useDutyList";
import "../incident/incident.css";
import "./duty.css";

export default function DutyPage() {
  const { t } = useLanguage();
  const wide = useMedia(SIDE_BY_SIDE);
  const [filter, setFilter] = useState<Filter>("suspected");
  const [selected, setSelected] = useState<string | null>(null);
  const [scrolled, setScrolled] = useState(false);
  const [reporting, setReporting] = useState(false);
  const entry = useEntry();
  const access = useDutyList(filter, selected !== null || scrolled);
  const { list } = access;
  const rows = useRef<HTMLDivElement>(null);

  const done = (incident: Incident) => {
    if (incident.id === selected) setSelected(successor(list, incident.id));
    access.handled(incident);
  };
  const commands = useCommands({ done, conflict: access.reload });

  const select = (id: string) => {
    setSelected(id);
    if (!wide) go({ page: "incident", id });
  };
  const showNew = () => {
    access.settle();
    setSelected(null);
    rows.current?.scrollTo({ top: 0 });
  };
  const narrow = (next: Filter) => {
    setFilter(next);
    setSelected(null);
    setScrolled(false);
  };

  useDutyKeys({
    move: (step) => setSelected(neighbour(list, selected, step)),
    open: () => selected !== null && go({ page: "incident", id: selected }),
    command: (name) => {
      const incident = list.shown.find(({ id }) => id === selected);
      if (incident !== undefined) commands.giveNamed(incident, name);
    },
    showNew,
    clear: () => {
      setSelected(null);
      if (!scrolled) access.settle();
    },
  });

  return (
    <div className={wide ? "duty duty-wide" : "duty"}>
      <section className="duty-list" aria-label={t("duty.list")}>
        <h1 className="unseen">{t("duty.title")}</h1>
        <div className="duty-head">
          <FilterBar filter={filter} counts={access.counts} choose={narrow} />
          {entry !== null && (
            <Button size="small" data-testid="report" onClick={() => setReporting(true)}>
              {t("report.open")}
            </Button>
          )}
        </div>
        {list.waiting.length > 0 && (
          <button type="button" className="new-bar" onClick={showNew} aria-live="polite">
            {t("duty.new_items", { n: list.waiting.length })} <kbd>N</kbd>
          </button>
        )}
        <div className="duty-rows" ref={rows} onScroll={(event) => setScrolled(event.currentTarget.scrollTop > 8)}>
          <Rows access={access} filter={filter} selected={selected} select={select} />
        </div>
      </section>
      {wide && <Preview id={selected} commands={commands} />}
      {commands.dialog}
      {reporting && entry !== null && (
        <ReportDialog entry={entry} onDone={({ id }) => go({ page: "incident", id })} onClose={() => setReporting(false)} />
      )}
    </div>
  );
}

/** How what this person reports comes in; null for those who report nothing (RULES C, edge 4). */
function useEntry(): string | null {
  const { state } = useSession();
  const roles = state.kind === "signed_in" ? state.session.roles.map(({ role }) => role) : [];
  if (roles.includes("operator")) return "hotline";
  return roles.includes("grid_worker") ? "grid_worker" : null;
}

interface RowsProps {
  access: DutyListAccess;
  filter: Filter;
  selected: string | null;
  select: (id: string) => void;
}

function Rows({ access, filter, selected, select }: RowsProps) {
  const { t } = useLanguage();
  const { list, loaded, failure, reload } = access;
  if (list.shown.length === 0) {
    if (failure !== null) return <FailureNotice failure={failure} retry={reload} />;
    if (!loaded) return <Loading />;
    if (filter === SUSPECTED) return <Notice icon="empty" title={t("duty.empty_suspected")} hint={t("duty.empty_suspected_hint")} />;
    return <Notice icon="empty" title={t("duty.empty")} />;
  }
  return (
    <>
      <IncidentRows list={list} selected={selected} select={select} />
      {access.hasOlder && (
        <Button type="text" block onClick={access.loadOlder}>
          {t("duty.more")}
        </Button>
      )}
    </>
  );
}

interface KeyActions {
  move: (step: number) => void;
  open: () => void;
  command: (name: string) => void;
  showNew: () => void;
  clear: () => void;
}

function useDutyKeys(actions: KeyActions): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const key = dutyKey(keyPress(event));
      if (key === null) return;
      event.preventDefault();
      if (key === "up" || key === "down") actions.move(key === "up" ? -1 : 1);
      else if (key === "open") actions.open();
      else if (key === "confirm") actions.command(REPORT);
      else if (key === "discard") actions.command(DISCARD);
      else if (key === "new") actions.showNew();
      else actions.clear();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  });
}
