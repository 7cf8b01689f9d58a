// The redacted snapshot with the box of an event drawn over it. Boxes come normalised to the frame, so they fit any size.
import { PictureOutlined } from "@ant-design/icons";
import { Spin } from "antd";
import { useEffect, useState } from "react";

import { fetchImage, snapshotUrl, type ViewReason } from "../api/images";
import { asFailure, type Failure } from "../api/problem";
import type { EventRow, IncidentSummary, Snapshot as SnapshotRef } from "../api/types";
import { failureText } from "../i18n/failure";
import { useLanguage } from "../i18n/language";
import { dateTime } from "../i18n/time";

interface SnapshotProps {
  incident: IncidentSummary;
  snapshot: SnapshotRef | null;
  event: EventRow | null;
  reason: ViewReason;
}

export function Snapshot({ incident, snapshot, event, reason }: SnapshotProps) {
  const language = useLanguage();
  const { t, term } = language;
  const url = snapshot === null ? null : snapshotUrl(incident.id, snapshot.sha256, reason);
  const { image, failure } = useImage(url);
  if (snapshot === null) return <Absent title={t("incident.no_snapshot")} hint={t("incident.no_snapshot_hint")} />;
  if (failure !== null) return <Absent title={t("incident.snapshot_failed")} hint={failureText(failure, language)} />;

  const { width, height } = snapshot;
  const what = term("category", incident.category);
  const alt = t("incident.snapshot_alt", { what, when: dateTime(event?.time ?? incident.opened_at) });
  return (
    <figure className="snapshot" style={{ aspectRatio: `${width} / ${height}` }}>
      {image === null ? <Spin className="snapshot-wait" /> : <img src={image} alt={alt} width={width} height={height} />}
      {image !== null && event?.bbox != null && <Box event={event} width={width} height={height} />}
    </figure>
  );
}

function Box({ event, width, height }: { event: EventRow; width: number; height: number }) {
  const { t, term } = useLanguage();
  const { bbox } = event;
  if (bbox == null) return null;
  const label = event.class == null ? "" : term("class", event.class);
  const rect = { x: bbox.x * width, y: bbox.y * height, width: bbox.w * width, height: bbox.h * height };
  return (
    <svg className="snapshot-box" viewBox={`0 0 ${width} ${height}`} role="img" aria-label={t("incident.box", { what: label || event.type })}>
      <rect {...rect} className="box-halo" />
      <rect {...rect} className="box-line" />
      {label !== "" && (
        <text x={rect.x} y={rect.y - height * 0.015} fontSize={height * 0.042} className="box-text">
          {label}
        </text>
      )}
    </svg>
  );
}

function Absent({ title, hint }: { title: string; hint: string }) {
  return (
    <div className="snapshot snapshot-absent" role="status">
      <PictureOutlined aria-hidden />
      <p>{title}</p>
      <small>{hint}</small>
    </div>
  );
}

interface ImageLoad {
  url: string | null;
  image: string | null;
  failure: Failure | null;
}

const NOTHING: ImageLoad = { url: null, image: null, failure: null };

/** A picture as an address of this page; fetched, so that the server's reason is seen when it refuses. */
export function useImage(url: string | null): ImageLoad {
  const [load, setLoad] = useState<ImageLoad>(NOTHING);
  useEffect(() => {
    if (url === null) return;
    const request = new AbortController();
    let image: string | null = null;
    fetchImage(url, request.signal).then(
      (blob) => {
        if (request.signal.aborted) return;
        image = URL.createObjectURL(blob);
        setLoad({ url, image, failure: null });
      },
      (thrown: unknown) => {
        if (!request.signal.aborted) setLoad({ url, image: null, failure: asFailure(thrown) });
      },
    );
    return () => {
      request.abort();
      if (image !== null) URL.revokeObjectURL(image);
    };
  }, [url]);
  return load.url === url ? load : NOTHING;
}
