// A camera, and the symbols that it sees. One frame is read at a time. Frames that
// come meanwhile are dropped.

import { pixels, readSymbols } from "./symbols";

interface Features {
  lamp: boolean;
  others: boolean;
}

// Ways to look at a frame, in turn: as it is, its middle enlarged, whole but
// small, whole enlarged, its ink alone. Where one shows nothing, another may: a
// worn card is often read when its edges are spread over more pixels.
const looks = [
  { crop: 1, side: 1280, inkAlone: false },
  { crop: 0.6, side: 1200, inkAlone: false },
  { crop: 1, side: 720, inkAlone: false },
  { crop: 1, side: 1920, inkAlone: false },
  { crop: 0.8, side: 1200, inkAlone: true },
];

export const differentLooks = looks.length;

const maxScale = 1.6; // a larger picture shows nothing more and takes longer

/** look reads the symbols that one of the ways to look at a picture shows. */
export function look(from: CanvasImageSource, width: number, height: number, turn: number): Promise<string[]> {
  const { crop, side, inkAlone } = looks[turn % looks.length] ?? { crop: 1, side: 1280, inkAlone: false };
  return readSymbols(pixels(from, width, height, Math.min(maxScale, side / (Math.max(width, height) * crop)), crop), inkAlone);
}

export class Camera {
  ready: (features: Features) => void = () => {};
  private stream: MediaStream | null = null;
  private cameras: MediaDeviceInfo[] = [];
  private at = 0;
  private lit = false;
  private turn = 0;
  private stopped = false;

  constructor(private video: HTMLVideoElement, private saw: (symbols: string[]) => Promise<void>) {}

  async start(device?: string): Promise<void> {
    if (this.stopped) return;
    if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("", "NotFoundError");
    this.release();
    const size = { width: { ideal: 1920 }, height: { ideal: 1080 } };
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: device ? { ...size, deviceId: { exact: device } } : { ...size, facingMode: { ideal: "environment" } },
    });
    // The screen may have gone while the browser asked for permission.
    if (this.stopped) return stream.getTracks().forEach((t) => t.stop());
    this.stream = stream;
    this.video.srcObject = stream;
    this.video.muted = true;
    await this.video.play().catch(() => {});
    this.cameras = (await navigator.mediaDevices.enumerateDevices()).filter((d) => d.kind === "videoinput");
    this.ready({ lamp: this.hasLamp(), others: this.cameras.length > 1 });
    this.loop();
  }

  /** pause lets go of the camera; start takes it again. */
  pause(): void {
    this.release();
  }

  stop(): void {
    this.stopped = true;
    this.release();
  }

  async next(): Promise<void> {
    this.at = (this.at + 1) % Math.max(1, this.cameras.length);
    await this.start(this.cameras[this.at]?.deviceId);
  }

  async toggleLamp(): Promise<void> {
    this.lit = !this.lit;
    await this.track()?.applyConstraints({ advanced: [{ torch: this.lit } as MediaTrackConstraintSet] }).catch(() => {});
  }

  private track(): MediaStreamTrack | undefined {
    return this.stream?.getVideoTracks()[0];
  }

  private hasLamp(): boolean {
    return Boolean((this.track()?.getCapabilities?.() as { torch?: boolean } | undefined)?.torch);
  }

  private release(): void {
    this.stream?.getTracks().forEach((t) => t.stop());
    this.stream = null;
    this.video.srcObject = null;
    this.lit = false;
  }

  private loop(): void {
    const { stream, video } = this;
    const again = async (): Promise<void> => {
      if (this.stopped || this.stream !== stream) return;
      const { videoWidth: width, videoHeight: height } = video;
      if (width > 0) {
        await look(video, width, height, this.turn++).then(this.saw).catch(() => {});
      }
      next();
    };
    const next = (): void => {
      if (this.stopped || this.stream !== stream) return;
      if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(() => void again());
      else setTimeout(() => void again(), 60);
    };
    next();
  }
}
