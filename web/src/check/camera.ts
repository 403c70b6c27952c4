// A camera and its frames. One frame is read at a time; what comes meanwhile is
// dropped.

import { pixels } from "./symbols";

interface Features {
  lamp: boolean;
  others: boolean;
}

// As it is, its middle enlarged, whole but small, and whole enlarged: what one
// does not see another may. A worn card that cannot be read as it is often can
// when its edges are spread over more pixels.
const looks = [
  { crop: 1, side: 1280 },
  { crop: 0.6, side: 1200 },
  { crop: 1, side: 720 },
  { crop: 1, side: 1920 },
];

export const differentLooks = looks.length;

const most = 1.6; // larger shows nothing more and takes longer

/** look is one of the ways to look at a picture. */
export function look(from: CanvasImageSource, width: number, height: number, turn: number): ImageData {
  const { crop, side } = looks[turn % looks.length] ?? { crop: 1, side: 1280 };
  return pixels(from, width, height, Math.min(most, side / (Math.max(width, height) * crop)), crop);
}

export class Camera {
  ready: (features: Features) => void = () => {};
  private stream: MediaStream | null = null;
  private cameras: MediaDeviceInfo[] = [];
  private at = 0;
  private lit = false;
  private turn = 0;
  private stopped = false;

  constructor(private video: HTMLVideoElement, private frame: (picture: ImageData) => Promise<void>) {}

  async start(device?: string): Promise<void> {
    if (this.stopped) return;
    if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("", "NotFoundError");
    this.release();
    const size = { width: { ideal: 1920 }, height: { ideal: 1080 } };
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: device ? { ...size, deviceId: { exact: device } } : { ...size, facingMode: { ideal: "environment" } },
    });
    // The screen may have gone while somebody was asked for permission.
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
        await this.frame(look(video, width, height, this.turn++)).catch(() => {});
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
