// The names the console uses for the types generated from the OpenAPI document, and the closed lists behind its open strings.
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Session = Schemas["Session"];
export type IncidentSummary = Schemas["IncidentSummary"];
export type IncidentPage = Schemas["IncidentPage"];
export type Incident = Schemas["Incident"];
export type EventRow = Schemas["EventRow"];
export type TimelineRow = Schemas["TimelineRow"];
export type FiredRow = Schemas["FiredRow"];
export type AllowedCommand = Schemas["AllowedCommand"];
export type Snapshot = Schemas["Snapshot"];
export type Device = Schemas["Device"];
export type CommandRequest = Schemas["CommandRequest"];
export type NoteRequest = Schemas["NoteRequest"];
export type ReportRequest = Schemas["ReportRequest"];
export type Grant = Schemas["Grant"];
export type GrantRequest = Schemas["GrantRequest"];
export type StaticObject = Schemas["StaticObject"];
export type Bilingual = Schemas["Bilingual"];
export type Value = Schemas["Value"];
export type Attachment = Schemas["Attachment"];
export type Trouble = Schemas["Trouble"];
export type NuisancePage = Schemas["NuisancePage"];
export type NuisanceRow = Schemas["NuisanceRow"];

export type Urgency = "A" | "B" | "C";

/** Where a person, not the software, acts first; see `duty/filters.ts` for the groups. */
export const SUSPECTED = "suspected";
