// Breaks the glass: a supervisor's own short grant in an emergency, which a privacy officer reviews within a day.
import { Alert, Form, Input, Modal } from "antd";
import { useState } from "react";

import { ask, client, idempotencyKey } from "../api/client";
import { useSubmit } from "../app/useSubmit";
import { useLanguage } from "../i18n/language";

export function BreakGlassDialog({ onDone, onClose }: { onDone: () => void; onClose: () => void }) {
  const { t } = useLanguage();
  const [form] = Form.useForm<{ incident: string; reason: string }>();
  const [key] = useState(idempotencyKey);
  const { busy, notice, submit } = useSubmit(onDone);
  const needed = [{ required: true, message: t("command.field_missing") }];
  const breakGlass = ({ incident, reason }: { incident: string; reason: string }) => {
    const params = { header: { "idempotency-key": key } };
    submit(ask(client.POST("/api/v1/break-glass", { params, body: { incident: incident.trim(), reason, minutes: 15 } })));
  };
  return (
    <Modal open title={t("grants.break_glass")} okText={t("grants.break_glass")} okButtonProps={{ danger: true }} cancelText={t("command.cancel")} confirmLoading={busy} onOk={() => form.submit()} onCancel={onClose} closable={false} transitionName="" maskTransitionName="" width={460}>
      <Alert type="warning" showIcon title={t("grants.break_glass_hint")} className="dialog-failure" />
      {notice}
      <Form form={form} layout="vertical" onFinish={breakGlass} preserve={false}>
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
