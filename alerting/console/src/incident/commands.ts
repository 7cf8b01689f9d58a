// Commands on incidents: what has to be asked for before one is sent, and the sending. A version says what the person saw;
// a key makes a repeated try count once.
import { ask, client, idempotencyKey } from "../api/client";
import type { AllowedCommand, CommandRequest, Incident } from "../api/types";

export const REPORT = "report";
export const DISCARD = "discard";

export interface CommandInput {
  reason?: string;
  comment?: string;
  fields?: Record<string, string>;
}

/** Confirming is one key; everything else asks first. */
export function asksFirst(command: AllowedCommand): boolean {
  return command.command !== REPORT || command.needs_reason || command.fields.some(({ required }) => required);
}

/** Commands that end or turn back a case, shown apart from those that lead on. */
export function isAdverse(command: string): boolean {
  return ["discard", "void", "return", "reject", "rework"].includes(command);
}

export interface Order {
  incidentId: string;
  command: string;
  version: number;
  key: string;
}

export function orderOf(incident: { id: string; version: number }, command: string): Order {
  return { incidentId: incident.id, command, version: incident.version, key: idempotencyKey() };
}

export function send({ incidentId, command, version, key }: Order, input: CommandInput): Promise<Incident> {
  return ask(
    client.POST("/api/v1/incidents/{id}/commands", {
      params: { path: { id: incidentId }, header: { "idempotency-key": key } },
      // The server offered this command with these reasons and fields, so it is one of its shapes.
      body: { command, version, ...input } as CommandRequest,
    }),
  );
}
