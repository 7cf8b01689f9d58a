// The sign of Xueliang: a snow crystal with an eye that sees no faces.
export function Mark() {
  return (
    <svg className="mark" viewBox="0 0 32 32" width="28" height="28" aria-hidden>
      <g stroke="#7fb0ff" strokeWidth="2.6" strokeLinecap="round">
        <path d="M16 4v24M5.6 10l20.8 12M26.4 10l-20.8 12" />
      </g>
      <circle cx="16" cy="16" r="4.4" fill="#0f1a2b" stroke="#fff" strokeWidth="2.4" />
    </svg>
  );
}
