// Asks for a grant: what for, of which incident, over which time; and what a purpose must bring with it.
import { Form, Input, InputNumber, Modal, Select } from "antd";
import { useState } from "react";

import { ask, client, idempotencyKey } from "../api/client";
import type { GrantRequest } from "../api/types";
import { useSubmit } from "../app/useSubmit";
import { useLanguage } from "../i18n/language";
import { fromBeijing } from "../i18n/time";

interface Entered {
  incident: string;
  action: GrantRequest["action"];
  purpose: GrantRequest["purpose"];
  reason: string;
  from: string;
  until: string;
  minutes: number;
  case?: string;
  days?: number;
  consent?: string;
  basis?: string;
  number?: string;
  unit1?: string;
  officer1?: string;
  unit2?: string;
  officer2?: string;
}

const ACTIONS: readonly GrantRequest["action"][] = ["view_original", "export", "release", "hold"];
const PURPOSES: readonly GrantRequest["purpose"][] = ["incident_handling", "emergency_response", "statutory_request", "data_subject_access"];

export function GrantDialog({ onDone, onClose }: { onDone: () => void; onClose: () => void }) {
  const { t, term } = useLanguage();
  const [form] = Form.useForm<Entered>();
  const action = Form.useWatch("action", form);
  const purpose = Form.useWatch("purpose", form);
  const [key] = useState(idempotencyKey);
  const { busy, notice, submit } = useSubmit(onDone);
  const needed = [{ required: true, message: t("command.field_missing") }];

  const request = (entered: Entered) => {
    const params = { header: { "idempotency-key": key } };
    submit(ask(client.POST("/api/v1/grants", { params, body: bodyOf(entered) })));
  };

  const text = (name: keyof Entered, label: string) => (
    <Form.Item name={name} label={label} rules={needed}>
      <Input maxLength={200} />
    </Form.Item>
  );
  return (
    <Modal open title={t("grants.ask")} okText={t("grants.submit")} cancelText={t("command.cancel")} confirmLoading={busy} onOk={() => form.submit()} onCancel={onClose} closable={false} transitionName="" maskTransitionName="" width={520}>
      {notice}
      <Form form={form} layout="vertical" onFinish={request} preserve={false} initialValues={{ minutes: 60, purpose: "incident_handling" }}>
        {text("incident", t("grants.incident"))}
        <Form.Item name="action" label={t("grants.action")} rules={needed}>
          <Select options={ACTIONS.map((value) => ({ value, label: term("grant.action", value) }))} />
        </Form.Item>
        <Form.Item name="purpose" label={t("grants.purpose")} rules={needed}>
          <Select options={PURPOSES.map((value) => ({ value, label: term("purpose", value) }))} />
        </Form.Item>
        {text("reason", t("grants.reason"))}
        <Form.Item name="from" label={t("grants.from")} rules={needed}>
          <Input type="datetime-local" />
        </Form.Item>
        <Form.Item name="until" label={t("grants.until")} rules={needed}>
          <Input type="datetime-local" />
        </Form.Item>
        <Form.Item name="minutes" label={t("grants.minutes")} rules={needed}>
          <InputNumber min={1} max={240} precision={0} />
        </Form.Item>
        {action === "hold" && (
          <>
            {text("case", t("grants.case"))}
            <Form.Item name="days" label={t("grants.days")} rules={needed}>
              <InputNumber min={1} max={30} precision={0} />
            </Form.Item>
          </>
        )}
        {purpose === "data_subject_access" && text("consent", t("grants.consent"))}
        {purpose === "statutory_request" && (
          <>
            {text("basis", t("grants.basis"))}
            {text("number", t("grants.number"))}
            {text("unit1", t("grants.officer_unit", { n: 1 }))}
            {text("officer1", t("grants.officer_document", { n: 1 }))}
            {text("unit2", t("grants.officer_unit", { n: 2 }))}
            {text("officer2", t("grants.officer_document", { n: 2 }))}
          </>
        )}
        <button type="submit" hidden />
      </Form>
    </Modal>
  );
}

function bodyOf(entered: Entered): GrantRequest {
  const { incident, action, purpose, reason, minutes } = entered;
  const [from, until] = [fromBeijing(entered.from) ?? "", fromBeijing(entered.until) ?? ""];
  const officers = [
    { unit: entered.unit1 ?? "", document: entered.officer1 ?? "" },
    { unit: entered.unit2 ?? "", document: entered.officer2 ?? "" },
  ];
  return {
    incident: incident.trim(),
    action,
    purpose,
    reason,
    from,
    until,
    minutes,
    ...(action === "hold" && { case: entered.case ?? "", days: entered.days ?? 1 }),
    ...(purpose === "data_subject_access" && { consent: entered.consent ?? "" }),
    ...(purpose === "statutory_request" && {
      document: { basis: entered.basis ?? "", number: entered.number ?? "", from, until, officers },
    }),
  };
}
