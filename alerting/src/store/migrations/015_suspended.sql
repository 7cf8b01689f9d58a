-- Why a camera is stopped whose authorization does not hold, as its events name it.
ALTER TABLE device ADD COLUMN suspended TEXT;
