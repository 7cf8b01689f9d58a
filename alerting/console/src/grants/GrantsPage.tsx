// Grants of four eyes: one's own, those to decide on, broken glass to be reviewed; and the way to ask for one.
import { Alert, Button, Input, Space } from "antd";
import { useEffect, useState } from "react";

import { ask, client, idempotencyKey } from "../api/client";
import { asFailure, type Failure } from "../api/problem";
import type { Grant } from "../api/types";
import { Link } from "../app/navigation";
import { useSession } from "../app/session";
import { FailureNotice, Loading, Notice } from "../app/states";
import { useSubmit } from "../app/useSubmit";
import { failureText } from "../i18n/failure";
import { useLanguage } from "../i18n/language";
import { dateTime } from "../i18n/time";
import { BreakGlassDialog } from "./BreakGlassDialog";
import { GrantDialog } from "./GrantDialog";
import "../incident/incident.css";
import "./grants.css";

type Asked = "grant" | "glass" | null;

export default function GrantsPage() {
  const { t } = useLanguage();
  const { state } = useSession();
  const { grants, failure, reload } = useGrants();
  const [asked, setAsked] = useState<Asked>(null);
  const roles = state.kind === "signed_in" ? state.session.roles.map(({ role }) => role) : [];
  const done = () => {
    setAsked(null);
    reload();
  };
  return (
    <div className="grants">
      <header className="grants-head">
        <h1>{t("grants.title")}</h1>
        <Space wrap>
          {roles.some((role) => ["operator", "dispatcher", "supervisor"].includes(role)) && (
            <Button data-testid="ask" onClick={() => setAsked("grant")}>
              {t("grants.ask")}
            </Button>
          )}
          {roles.includes("supervisor") && (
            <Button danger data-testid="glass" onClick={() => setAsked("glass")}>
              {t("grants.break_glass")}
            </Button>
          )}
        </Space>
      </header>
      <p className="quiet">{t("grants.hint")}</p>
      {grants === null && (failure === null ? <Loading /> : <FailureNotice failure={failure} retry={reload} />)}
      {grants?.length === 0 && <Notice icon="empty" title={t("grants.empty")} />}
      {grants?.map((grant) => (
        <GrantCard key={`${grant.id}/${grant.version}`} grant={grant} done={reload} />
      ))}
      {asked === "grant" && <GrantDialog onDone={done} onClose={() => setAsked(null)} />}
      {asked === "glass" && <BreakGlassDialog onDone={done} onClose={() => setAsked(null)} />}
    </div>
  );
}

function GrantCard({ grant, done }: { grant: Grant; done: () => void }) {
  const { t, term } = useLanguage();
  const facts: [string, string][] = [
    [t("grants.purpose"), term("purpose", grant.purpose)],
    [t("grants.range"), `${dateTime(grant.from)} – ${dateTime(grant.until)}`],
    [t("grants.requester"), `${grant.requester} · ${dateTime(grant.requested_at)}`],
    [t("grants.supervisor"), grant.supervisor ?? "—"],
    [t("grants.privacy_officer"), grant.privacy_officer ?? "—"],
  ];
  if (grant.case !== null) facts.push([t("grants.case"), `${grant.case} · ${t("grants.for_days", { n: grant.days ?? 0 })}`]);
  if (grant.document !== null) facts.push([t("grants.document"), `${grant.document.basis} · ${grant.document.number}`]);
  if (grant.consent !== null) facts.push([t("grants.consent"), grant.consent]);
  if (grant.expires_at !== null) facts.push([t("grants.expires"), dateTime(grant.expires_at)]);
  if (grant.review_due_at !== null) facts.push([t("grants.review_due"), dateTime(grant.review_due_at)]);
  return (
    <article className="panel grant" data-grant={grant.id} data-state={grant.state}>
      <h3>
        {grant.break_glass ? t("grants.break_glass") : term("grant.action", grant.action)}{" "}
        <span className="state">{term("grant.state", grant.state)}</span>{" "}
        <Link to={{ page: "incident", id: grant.incident }}>{t("duty.open")}</Link>
      </h3>
      <p>{grant.reason}</p>
      <dl className="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {grant.review !== null && (
        <p className="quiet">
          {t(grant.review.justified ? "grants.justified" : "grants.unjustified")} · {grant.review.by}: {grant.review.note}
        </p>
      )}
      {grant.ended_by !== null && (
        <p className="quiet">
          {grant.ended_by}: {grant.ended_note ?? "—"}
        </p>
      )}
      <Use grant={grant} done={done} />
      {grant.may.length > 0 && <Steps grant={grant} done={done} />}
    </article>
  );
}

/** What a granted one opens for the person who asked. */
function Use({ grant, done }: { grant: Grant; done: () => void }) {
  const language = useLanguage();
  const { t } = language;
  const { state } = useSession();
  const [failure, setFailure] = useState<Failure | null>(null);
  const me = state.kind === "signed_in" ? state.session.account : null;
  if (grant.state !== "granted" || grant.requester !== me) return null;
  const path = `/api/v1/incidents/${encodeURIComponent(grant.incident)}`;
  const hold = () => {
    ask(client.POST("/api/v1/holds", { body: { grant: grant.id } })).then(done, (thrown: unknown) => setFailure(asFailure(thrown)));
  };
  return (
    <p className="grant-use">
      {failure !== null && <Alert type="error" showIcon title={failureText(failure, language)} />}
      {(grant.action === "export" || grant.action === "release") && (
        <a href={`${path}/${grant.action}?grant=${grant.id}`} download>
          {t("grants.download")}
        </a>
      )}
      {grant.action === "hold" && (
        <Button size="small" onClick={hold}>
          {t("grants.place_hold")}
        </Button>
      )}
      {grant.action === "view_original" && <Recorders grant={grant} />}
    </p>
  );
}

function Recorders({ grant }: { grant: Grant }) {
  const language = useLanguage();
  const { t, pick } = language;
  const [said, setSaid] = useState<string | null>(null);
  const look = () => {
    const params = { path: { id: grant.incident }, query: { grant: grant.id } };
    ask(client.GET("/api/v1/incidents/{id}/sealed", { params })).then(
      ({ text, devices }) => setSaid(`${pick(text)} ${devices.join(", ")}`),
      (thrown: unknown) => setSaid(failureText(asFailure(thrown), language)),
    );
  };
  if (said !== null) return <span>{said}</span>;
  return (
    <Button size="small" onClick={look}>
      {t("grants.where")}
    </Button>
  );
}

function Steps({ grant, done }: { grant: Grant; done: () => void }) {
  const { t, term } = useLanguage();
  const [note, setNote] = useState("");
  const { busy, notice, submit } = useSubmit(done);
  const text = note.trim();
  const header = () => ({ "idempotency-key": idempotencyKey() });
  const step = (name: "approve" | "refuse" | "withdraw") =>
    submit(
      ask(
        client.POST("/api/v1/grants/{id}/{step}", {
          params: { path: { id: grant.id, step: name }, header: header() },
          body: { version: grant.version, ...(text !== "" && { note: text }) },
        }),
      ),
    );
  const review = (justified: boolean) =>
    submit(
      ask(
        client.POST("/api/v1/grants/{id}/review", {
          params: { path: { id: grant.id }, header: header() },
          body: { version: grant.version, justified, note: text },
        }),
      ),
    );
  return (
    <div className="grant-steps">
      {notice}
      <Input value={note} onChange={(event) => setNote(event.target.value)} maxLength={200} placeholder={t("grants.note")} aria-label={t("grants.note")} />
      <Space wrap>
        {(["approve", "refuse", "withdraw"] as const)
          .filter((name) => grant.may.includes(name))
          .map((name) => (
            <Button key={name} data-step={name} danger={name === "refuse"} type={name === "approve" ? "primary" : "default"} disabled={busy} onClick={() => step(name)}>
              {term("grant.step", name)}
            </Button>
          ))}
        {grant.may.includes("review") && (
          <>
            <Button data-step="justified" disabled={busy || text === ""} onClick={() => review(true)}>
              {t("grants.justified")}
            </Button>
            <Button data-step="unjustified" danger disabled={busy || text === ""} onClick={() => review(false)}>
              {t("grants.unjustified")}
            </Button>
          </>
        )}
      </Space>
    </div>
  );
}

function useGrants() {
  const [grants, setGrants] = useState<Grant[] | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [round, setRound] = useState(0);
  useEffect(() => {
    let current = true;
    ask(client.GET("/api/v1/grants")).then(
      ({ items }) => {
        if (!current) return;
        setGrants(items);
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
  return { grants, failure, reload: () => setRound((before) => before + 1) };
}
