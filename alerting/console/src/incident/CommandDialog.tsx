// Asks for the reason, the fields and the comment of a command. Number keys choose a reason, Enter submits.
import { Form, Input, Modal, Radio } from "antd";
import { useEffect, useState } from "react";

import type { AllowedCommand, Incident, IncidentSummary } from "../api/types";
import { useSubmit } from "../app/useSubmit";
import { useLanguage } from "../i18n/language";
import { fromBeijing } from "../i18n/time";
import { isAdverse, orderOf, send, type CommandInput } from "./commands";

interface CommandDialogProps {
  incident: IncidentSummary;
  command: AllowedCommand;
  onDone: (incident: Incident) => void;
  onConflict: () => void;
  onClose: () => void;
}

export function CommandDialog({ incident, command, onDone, onConflict, onClose }: CommandDialogProps) {
  const { t, term, pick } = useLanguage();
  const [form] = Form.useForm<CommandInput>();
  const [order] = useState(() => orderOf(incident, command.command));
  const { busy, failure, notice, submit } = useSubmit(onDone, ({ kind }) => {
    if (kind === "conflict") onConflict();
  });
  useNumberKeys(command.needs_reason ? command.reasons.length : 0, (index) => {
    const reason = command.reasons[index];
    if (reason !== undefined) form.setFieldsValue({ reason: reason.code });
  });

  return (
    <Modal
      open
      title={`${pick(command.label)} · ${term("category", incident.category)}`}
      okText={pick(command.label)}
      cancelText={t("command.cancel")}
      okButtonProps={{ danger: isAdverse(command.command), disabled: failure?.kind === "conflict" }}
      confirmLoading={busy}
      onOk={() => form.submit()}
      onCancel={onClose}
      closable={false}
      transitionName=""
      maskTransitionName=""
      width={460}
    >
      {notice}
      <Form form={form} layout="vertical" onFinish={(input) => submit(send(order, withoutEmpty(input)))} preserve={false}>
        {command.needs_reason && (
          <Form.Item name="reason" label={t("command.reason")} extra={t("command.reason_keys")} rules={[{ required: true, message: t("command.reason_missing") }]}>
            <Radio.Group className="reasons">
              {command.reasons.map(({ code, label }, index) => (
                <Radio key={code} value={code} autoFocus={index === 0}>
                  <kbd>{index + 1}</kbd> {pick(label)}
                </Radio>
              ))}
            </Radio.Group>
          </Form.Item>
        )}
        {command.fields.map(({ name, required }) => (
          <Form.Item key={name} name={["fields", name]} label={term("command.field", name)} rules={[{ required, message: t("command.field_missing") }]}>
            <Input type={name === UNTIL ? "datetime-local" : "text"} />
          </Form.Item>
        ))}
        <Form.Item name="comment" label={t("command.comment")}>
          <Input autoFocus={!command.needs_reason} maxLength={500} />
        </Form.Item>
        <button type="submit" hidden />
      </Form>
    </Modal>
  );
}

/** The one field that holds a time. */
const UNTIL = "until";

function withoutEmpty({ reason, comment, fields }: CommandInput): CommandInput {
  const filled = Object.entries(fields ?? {})
    .map(([name, value]) => [name, name === UNTIL ? (fromBeijing(value) ?? "") : value.trim()] as const)
    .filter(([, value]) => value !== "");
  return {
    ...(reason !== undefined && { reason }),
    ...(comment !== undefined && comment.trim() !== "" && { comment: comment.trim() }),
    ...(filled.length > 0 && { fields: Object.fromEntries(filled) }),
  };
}

function useNumberKeys(count: number, choose: (index: number) => void): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const typing = event.target instanceof HTMLInputElement && event.target.type !== "radio";
      const number = Number.parseInt(event.key, 10);
      if (!typing && number >= 1 && number <= count) choose(number - 1);
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  });
}
