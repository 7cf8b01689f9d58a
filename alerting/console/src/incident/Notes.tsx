// What may be written beside an incident without moving it: a comment, 督办, an acknowledgement, a picture.
import { PaperClipOutlined } from "@ant-design/icons";
import { Alert, Button, Input } from "antd";
import { useId, useRef, useState, type ChangeEvent } from "react";

import { ask, client, idempotencyKey } from "../api/client";
import { attachPicture } from "../api/images";
import { asFailure, type Failure } from "../api/problem";
import type { Incident } from "../api/types";
import { failureText } from "../i18n/failure";
import { useLanguage } from "../i18n/language";

interface NotesProps {
  incident: Incident;
  done: (incident: Incident) => void;
}

export function Notes({ incident, done }: NotesProps) {
  const language = useLanguage();
  const { t, pick } = language;
  const [text, setText] = useState("");
  const { failure, busy, attempt } = useAttempts(done);
  const written = incident.notes.filter(({ note }) => note !== ATTACH);
  if (incident.notes.length === 0) return <p className="quiet">{t("notes.none")}</p>;

  const write = (note: string, needsText: boolean) => {
    const key = idempotencyKey();
    const params = { path: { id: incident.id }, header: { "idempotency-key": key } };
    const say = needsText ? { text } : {};
    const clocks = note === "acknowledge" ? incident.deadlines.filter(({ told, acknowledged }) => told !== null && !acknowledged) : [];
    const fields = clocks.slice(0, 1).map(({ clock }) => ["clock", clock]);
    const body = { note, ...say, fields: Object.fromEntries(fields) as Record<string, string> };
    attempt(() => ask(client.POST("/api/v1/incidents/{id}/notes", { params, body })), () => setText(""));
  };

  return (
    <div className="notes">
      {failure !== null && <Alert type="error" showIcon title={failureText(failure, language)} />}
      {written.some(({ needs_text }) => needs_text) && (
        <Input.TextArea
          value={text}
          onChange={(event) => setText(event.target.value)}
          rows={2}
          maxLength={2000}
          placeholder={t("notes.placeholder")}
          aria-label={t("notes.placeholder")}
        />
      )}
      <div className="commands">
        {written.map(({ note, label, needs_text: needsText }) => (
          <Button
            key={note}
            data-note={note}
            size="small"
            disabled={busy || (needsText && text.trim() === "")}
            onClick={() => write(note, needsText)}
          >
            {pick(label)}
          </Button>
        ))}
        {incident.notes.some(({ note }) => note === ATTACH) && (
          <AttachButton busy={busy} choose={(file) => attempt(() => attachPicture(incident.id, file), () => undefined)} />
        )}
      </div>
    </div>
  );
}

const ATTACH = "attach";

function AttachButton({ busy, choose }: { busy: boolean; choose: (file: File) => void }) {
  const { t } = useLanguage();
  const input = useRef<HTMLInputElement>(null);
  const id = useId();
  const chosen = ({ target }: ChangeEvent<HTMLInputElement>) => {
    const file = target.files?.[0];
    target.value = "";
    if (file !== undefined) choose(file);
  };
  return (
    <>
      <input id={id} ref={input} type="file" accept="image/jpeg,image/png,image/webp" hidden onChange={chosen} data-testid="attach" />
      <Button size="small" icon={<PaperClipOutlined />} disabled={busy} loading={busy} onClick={() => input.current?.click()}>
        {t("notes.attach")}
      </Button>
    </>
  );
}

function useAttempts(done: (incident: Incident) => void) {
  const [failure, setFailure] = useState<Failure | null>(null);
  const [busy, setBusy] = useState(false);
  const attempt = (send: () => Promise<Incident>, finished: () => void) => {
    setBusy(true);
    setFailure(null);
    send()
      .then(
        (incident) => {
          finished();
          done(incident);
        },
        (thrown: unknown) => setFailure(asFailure(thrown)),
      )
      .finally(() => setBusy(false));
  };
  return { failure, busy, attempt };
}
