// The selected incident beside the list: image, values, the next steps; enough to decide without leaving the list.
import { Button } from "antd";

import type { Incident } from "../api/types";
import { go } from "../app/navigation";
import { FailureNotice, Loading } from "../app/states";
import { useLanguage } from "../i18n/language";
import type { Key } from "../i18n/zh";
import { CommandBar } from "../incident/CommandBar";
import { Facts, Head, Values } from "../incident/Facts";
import { Lead } from "../incident/Lead";
import { shownOf } from "../incident/shown";
import { Snapshot } from "../incident/Snapshot";
import type { Commands } from "../incident/useCommands";
import { useIncident } from "../incident/useIncident";

export function Preview({ id, commands }: { id: string | null; commands: Commands }) {
  const { t } = useLanguage();
  const { incident, failure, reload } = useIncident(id);
  return (
    <aside className="preview" aria-label={t("duty.preview")}>
      {id === null && <Hint />}
      {id !== null && incident === null && (failure === null ? <Loading /> : <FailureNotice failure={failure} retry={reload} />)}
      {incident !== null && <Selected incident={incident} commands={commands} />}
    </aside>
  );
}

function Selected({ incident, commands }: { incident: Incident; commands: Commands }) {
  const { t } = useLanguage();
  const { event, snapshot } = shownOf(incident, null);
  return (
    <>
      <Head incident={incident} />
      <div className="preview-steps">
        <CommandBar commands={incident.commands} busy={commands.busy} give={(command) => commands.give(incident, command)} keys />
        <Button type="link" onClick={() => go({ page: "incident", id: incident.id })}>
          {t("duty.open")} <kbd>↵</kbd>
        </Button>
      </div>
      <Snapshot incident={incident} snapshot={snapshot} event={event} reason="duty_list" />
      <Lead />
      <Values values={incident.values} />
      <Facts incident={incident} />
    </>
  );
}

const KEYS: readonly [string, Key][] = [
  ["↑ ↓", "duty.key.move"],
  ["↵", "duty.key.open"],
  ["C", "duty.key.confirm"],
  ["D", "duty.key.discard"],
  ["N", "duty.key.new"],
  ["Esc", "duty.key.clear"],
];

function Hint() {
  const { t } = useLanguage();
  return (
    <div className="preview-hint">
      <p>{t("duty.preview_empty")}</p>
      <dl aria-label={t("duty.keys")}>
        {KEYS.map(([key, meaning]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{t(meaning)}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
