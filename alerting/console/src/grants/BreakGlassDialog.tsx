// Breaks the glass: a supervisor's own short grant in an emergency, which a privacy officer reviews within a day.
import { Alert, Form, Input, Modal } from "antd";
import { useState } from "react";

import { ask, client, idempotencyKey } from "../api/client";
import { asFailure, type Failure } from "../api/problem";
import { failureText } from "../i18n/failure";
import { useLanguage } from "../i18n/language";

export function BreakGlassDialog({ onDone, onClose }: { onDone: () => void; onClose: () => void }) {
  const language = useLanguage();
  const { t } = language;
  const [form] = Form.useForm<{ incident: string; reason: string }>();
  const [key] = useState(idempotencyKey);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [busy, setBusy] = useState(false);
  const needed = [{ required: true, message: t("command.field_missing") }];
  const submit = ({ incident, reason }: { incident: string; reason: string }) => {
    setBusy(true);
    setFailure(null);
    const params = { header: { "idempotency-key": key } };
    ask(client.POST("/api/v1/break-glass", { params, body: { incident: incident.trim(), reason, minutes: 15 } })).then(onDone, (thrown: unknown) => {
      setFailure(asFailure(thrown));
      setBusy(false);
    });
  };
  return (
    <Modal open title={t("grants.break_glass")} okText={t("grants.break_glass")} okButtonProps={{ danger: true }} cancelText={t("command.cancel")} confirmLoading={busy} onOk={() => form.submit()} onCancel={onClose} closable={false} transitionName="" maskTransitionName="" width={460}>
      <Alert type="warning" showIcon title={t("grants.break_glass_hint")} className="dialog-failure" />
      {failure !== null && <Alert type="error" showIcon title={failureText(failure, language)} className="dialog-failure" />}
      <Form form={form} layout="vertical" onFinish={submit} preserve={false}>
        <Form.Item name="incident" label={t("grants.incident")} rules={needed}>
          <Input maxLength={36} />
        </Form.Item>
        <Form.Item name="reason" label={t("grants.reason")} rules={needed}>
          <Input maxLength={200} />
        </Form.Item>
        <button type="submit" hidden />
      </Form>
    </Modal>
  );
}
