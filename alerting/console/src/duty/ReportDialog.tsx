// Enters an incident that a person saw, or that somebody called about. Nothing is asked, or kept, of who called.
import { Form, Input, Modal, Radio, Select } from "antd";
import { useState } from "react";

import { ask, client, idempotencyKey } from "../api/client";
import type { Incident, ReportRequest } from "../api/types";
import { useSubmit } from "../app/useSubmit";
import { useLanguage } from "../i18n/language";
import { zhTerms } from "../i18n/zh-terms";

type Entered = Omit<ReportRequest, "entry">;
type Entry = ReportRequest["entry"];

/** What a person can see; that a camera is offline, or was tampered with, machines tell. */
const CATEGORIES = Object.keys(zhTerms)
  .filter((key) => key.startsWith("category."))
  .map((key) => key.slice("category.".length))
  .filter((key) => !["left_object", "camera_offline", "camera_tampered"].includes(key));

export function ReportDialog({ entry, onDone, onClose }: { entry: Entry; onDone: (incident: Incident) => void; onClose: () => void }) {
  const { t, term } = useLanguage();
  const [form] = Form.useForm<Entered>();
  const [key] = useState(idempotencyKey);
  const { busy, notice, submit } = useSubmit(onDone);
  const enter = (entered: Entered) =>
    submit(ask(client.POST("/api/v1/incidents", { params: { header: { "idempotency-key": key } }, body: { ...entered, entry } })));
  const missing = [{ required: true, message: t("command.field_missing") }];
  return (
    <Modal
      open
      title={t("report.title")}
      okText={t("report.submit")}
      cancelText={t("command.cancel")}
      confirmLoading={busy}
      onOk={() => form.submit()}
      onCancel={onClose}
      closable={false}
      transitionName=""
      maskTransitionName=""
      width={480}
    >
      {notice}
      <Form form={form} layout="vertical" onFinish={enter} preserve={false} initialValues={{ urgency: "B" }}>
        <Form.Item name="category" label={t("report.category")} rules={missing}>
          <Select options={CATEGORIES.map((value) => ({ value, label: term("category", value) }))} showSearch={{ optionFilterProp: "label" }} />
        </Form.Item>
        <Form.Item name="urgency" label={t("report.urgency")} rules={missing}>
          <Radio.Group options={["A", "B", "C"].map((value) => ({ value, label: term("urgency", value) }))} />
        </Form.Item>
        <Form.Item name="grid" label={t("report.grid")} rules={[...missing, { pattern: /^\d{4,20}$/, message: t("report.grid_wrong") }]}>
          <Input inputMode="numeric" maxLength={20} />
        </Form.Item>
        <Form.Item name="text" label={t("report.text")} rules={missing}>
          <Input.TextArea rows={3} maxLength={2000} />
        </Form.Item>
        <button type="submit" hidden />
      </Form>
    </Modal>
  );
}
