// What people attached. A picture is fetched when somebody asks for it: each view is registered, and nothing in it is covered.
import { Button, Spin } from "antd";
import { useState } from "react";

import { attachmentUrl } from "../api/images";
import type { Attachment } from "../api/types";
import { failureText } from "../i18n/failure";
import { useLanguage } from "../i18n/language";
import { dateTime } from "../i18n/time";
import { useImage } from "./Snapshot";

export function Attachments({ incidentId, attachments }: { incidentId: string; attachments: readonly Attachment[] }) {
  const { t } = useLanguage();
  if (attachments.length === 0) return <p className="quiet">{t("attachments.none")}</p>;
  return (
    <ul className="attachments">
      {attachments.map((attachment) => (
        <Picture key={attachment.sha256} incidentId={incidentId} attachment={attachment} />
      ))}
    </ul>
  );
}

function Picture({ incidentId, attachment }: { incidentId: string; attachment: Attachment }) {
  const language = useLanguage();
  const { t } = language;
  const [asked, setAsked] = useState(false);
  const { sha256, account, at, width, height } = attachment;
  const { image, failure } = useImage(asked ? attachmentUrl(incidentId, sha256) : null);
  const label = t("attachments.by", { who: account, when: dateTime(at) });
  return (
    <li data-attachment={sha256}>
      <p className="quiet">
        {label} · {width} × {height}
      </p>
      {!asked && (
        <Button size="small" onClick={() => setAsked(true)}>
          {t("attachments.show")}
        </Button>
      )}
      {asked && image === null && failure === null && <Spin />}
      {failure !== null && <p className="quiet">{failureText(failure, language)}</p>}
      {image !== null && <img src={image} alt={label} width={width} height={height} />}
    </li>
  );
}
