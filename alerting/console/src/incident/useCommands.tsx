// Gives commands for the duty list and the incident page alike: asks first where that is due, sends, and says how it went.
import { App } from "antd";
import { useState, type ReactNode } from "react";

import { ask, client } from "../api/client";
import { asFailure } from "../api/problem";
import type { AllowedCommand, Incident, IncidentSummary } from "../api/types";
import { failureText } from "../i18n/failure";
import { useLanguage } from "../i18n/language";
import type { Key } from "../i18n/zh";
import { CommandDialog } from "./CommandDialog";
import { asksFirst, orderOf, send } from "./commands";

export interface Commands {
  busy: boolean;
  /** Gives a command that the server has allowed. */
  give: (incident: IncidentSummary, command: AllowedCommand) => void;
  /** Gives a command by name; asks the server first whether it is allowed. */
  giveNamed: (incident: IncidentSummary, name: string) => void;
  /** To be placed in the page; null while nothing is asked. */
  dialog: ReactNode;
}

interface Effects {
  done: (incident: Incident) => void;
  /** The incident is no longer as it was seen. */
  conflict: (id: string) => void;
}

const DONE: Record<string, Key> = { report: "duty.reported_done", discard: "duty.discarded_done" };

export function useCommands({ done, conflict }: Effects): Commands {
  const { message } = App.useApp();
  const language = useLanguage();
  const { t, term, pick } = language;
  const [busy, setBusy] = useState(false);
  const [asked, setAsked] = useState<{ incident: IncidentSummary; command: AllowedCommand } | null>(null);

  const finish = (incident: Incident, command: AllowedCommand) => {
    setAsked(null);
    const what = term("category", incident.category);
    void message.success(t(DONE[command.command] ?? "duty.command_done", { what, command: pick(command.label) }));
    done(incident);
  };

  const fail = (thrown: unknown, id: string) => {
    const failure = asFailure(thrown);
    void message.error(failureText(failure, language), 6);
    if (failure.kind === "conflict") conflict(id);
  };

  const give = (incident: IncidentSummary, command: AllowedCommand) => {
    if (busy) return;
    if (asksFirst(command)) {
      setAsked({ incident, command });
      return;
    }
    setBusy(true);
    send(orderOf(incident, command.command), {})
      .then((next) => finish(next, command), (thrown: unknown) => fail(thrown, incident.id))
      .finally(() => setBusy(false));
  };

  const giveNamed = (incident: IncidentSummary, name: string) => {
    if (busy) return;
    ask(client.GET("/api/v1/incidents/{id}", { params: { path: { id: incident.id } } })).then(
      (current) => {
        const command = current.commands.find((allowed) => allowed.command === name);
        if (command === undefined) void message.warning(t("duty.not_allowed", { state: term("state", current.state) }));
        else give(current, command);
      },
      (thrown: unknown) => fail(thrown, incident.id),
    );
  };

  const dialog = asked === null ? null : (
    <CommandDialog
      {...asked}
      onDone={(next) => finish(next, asked.command)}
      onConflict={() => conflict(asked.incident.id)}
      onClose={() => setAsked(null)}
    />
  );
  return { busy, give, giveNamed, dialog };
}
