// One incident on a page of its own: the image with its box, what made it fire, its events, its timeline and the next steps.
import { ArrowLeftOutlined } from "@ant-design/icons";
import { useState, type ReactNode } from "react";

import type { Incident } from "../api/types";
import { Link } from "../app/navigation";
import { FailureNotice, Loading } from "../app/states";
import { useLanguage } from "../i18n/language";
import { Attachments } from "./Attachments";
import { CommandBar } from "./CommandBar";
import { Deadlines } from "./Deadlines";
import { Events } from "./Events";
import { Facts, Head, Values } from "./Facts";
import { Lead } from "./Lead";
import { Notes } from "./Notes";
import { shownOf } from "./shown";
import { Snapshot } from "./Snapshot";
import { Timeline } from "./Timeline";
import { useCommands } from "./useCommands";
import { useIncident, type IncidentLoad } from "./useIncident";
import "./incident.css";

export default function IncidentPage({ id }: { id: string }) {
  const { t } = useLanguage();
  const load = useIncident(id);
  const { incident, failure, reload } = load;
  return (
    <div className="incident-page">
      <Link to={{ page: "duty" }} className="back">
        <ArrowLeftOutlined aria-hidden /> {t("incident.back")}
      </Link>
      {incident !== null && <Loaded incident={incident} load={load} />}
      {incident === null && (failure === null ? <Loading /> : <FailureNotice failure={failure} retry={reload} />)}
    </div>
  );
}

function Loaded({ incident, load }: { incident: Incident; load: IncidentLoad }) {
  const { t } = useLanguage();
  const [chosen, setChosen] = useState<string | null>(null);
  const { busy, give, dialog } = useCommands({ done: load.replace, conflict: load.reload });
  const { event, snapshot } = shownOf(incident, chosen);
  return (
    <article className="incident" data-incident={incident.id} data-state={incident.state}>
      <header className="incident-top">
        <Head incident={incident} />
        <CommandBar commands={incident.commands} busy={busy} give={(command) => give(incident, command)} keys={false} />
      </header>
      <div className="incident-columns">
        <div>
          <Section title={t("incident.snapshot")}>
            <Snapshot incident={incident} snapshot={snapshot} event={event} reason="incident_page" />
            <Lead />
          </Section>
          <Section title={t("incident.timeline")}>
            <Timeline rows={incident.timeline} />
            <Notes incident={incident} done={load.replace} />
          </Section>
          <Section title={`${t("attachments.title")} · ${incident.attachments.length}`}>
            <Attachments incidentId={incident.id} attachments={incident.attachments} />
          </Section>
        </div>
        <div>
          <Section title={t("deadlines.title")}>
            <Deadlines incident={incident} />
          </Section>
          <Section title={t("incident.values")}>
            <Values values={incident.values} />
          </Section>
          <Section title={t("incident.facts")}>
            <Facts incident={incident} />
          </Section>
          <Section title={`${t("incident.events")} · ${incident.n_events}`}>
            <Events events={incident.events} total={incident.n_events} chosen={event?.id ?? null} choose={setChosen} />
          </Section>
        </div>
      </div>
      {dialog}
    </article>
  );
}

function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="panel">
      <h3>{title}</h3>
      {children}
    </section>
  );
}
