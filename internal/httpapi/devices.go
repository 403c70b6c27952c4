package httpapi

import (
	"context"
	"errors"

	"github.com/safeconduct/safeconduct/internal/httpapi/api"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people/roster"
)

// InviteDevice makes an invitation. Its secret is in this answer only.
func (s *Server) InviteDevice(ctx context.Context, r api.InviteDeviceRequestObject) (api.InviteDeviceResponseObject, error) {
	ctx, by := acting(ctx)
	agency := r.Body.Agency
	if agency == "" {
		agency = by.Agency
	}
	i, secret, err := s.cfg.Network.InviteDevice(ctx, by, agency, r.Body.Label)
	if err != nil {
		return nil, err
	}
	return api.InviteDevice201JSONResponse{
		ID: i.ID, Agency: i.Agency, Label: i.Label, Secret: secret,
		Link: s.cfg.Network.InvitationLink(secret), Expires: i.Expires,
	}, nil
}

// EnrolDevice takes an invitation up. The device's token is in this answer only.
func (s *Server) EnrolDevice(ctx context.Context, r api.EnrolDeviceRequestObject) (api.EnrolDeviceResponseObject, error) {
	ctx, _ = acting(ctx)
	e, err := s.cfg.Network.EnrolDevice(ctx, r.Body.Invitation, r.Body.PublicKey)
	if err != nil {
		return nil, err
	}
	d := e.Device
	return api.EnrolDevice201JSONResponse{
		Device: d.ID, Agency: d.Agency, AgencyName: e.AgencyName, Label: d.Label, Token: e.Token,
		Network: s.cfg.Network.ID(), Root: e.Root, State: api.EnrolmentStatePending,
	}, nil
}

// ListDevices lists an agency's devices.
func (s *Server) ListDevices(ctx context.Context, r api.ListDevicesRequestObject) (api.ListDevicesResponseObject, error) {
	ctx, by := acting(ctx)
	agency := by.Agency
	if r.Params.Agency != "" {
		agency = r.Params.Agency
	}
	all, err := s.cfg.Network.Devices(ctx, by, agency)
	if err != nil {
		return nil, err
	}
	list := api.DeviceList{Devices: make([]api.Device, len(all))}
	for i, d := range all {
		list.Devices[i] = api.Device{
			ID: d.ID, Agency: d.Agency, Label: d.Label, State: stateOf(d), PublicKey: d.Recipient, InvitedBy: d.InvitedBy,
		}
	}
	return api.ListDevices200JSONResponse(list), nil
}

// ReadSelf tells a device who it is.
func (s *Server) ReadSelf(ctx context.Context, _ api.ReadSelfRequestObject) (api.ReadSelfResponseObject, error) {
	ctx, by := acting(ctx)
	d, a, err := s.cfg.Network.Self(ctx, by)
	if err != nil {
		return nil, err
	}
	return api.ReadSelf200JSONResponse{ID: d.ID, Agency: d.Agency, AgencyName: a.Name, Label: d.Label, State: api.SelfState(stateOf(d))}, nil
}

// LeaveSelf ends the waiting of a device that nobody has let in.
func (s *Server) LeaveSelf(ctx context.Context, _ api.LeaveSelfRequestObject) (api.LeaveSelfResponseObject, error) {
	ctx, by := acting(ctx)
	if err := s.cfg.Network.Leave(ctx, by); err != nil {
		return nil, err
	}
	return api.LeaveSelf204Response{}, nil
}

// ApproveDevice asks to let a device in that waits.
func (s *Server) ApproveDevice(ctx context.Context, r api.ApproveDeviceRequestObject) (api.ApproveDeviceResponseObject, error) {
	ctx, by := acting(ctx)
	// Symbols cost what a code costs, and come from the same seats.
	leave, err := s.seats.take(ctx, by.ID, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	defer leave()
	what, err := s.cfg.Network.DeviceAdmission(ctx, by, r.Device, r.Body.Symbols)
	if err != nil {
		return nil, err
	}
	out, err := s.ask(ctx, by, roster.DoAdmitDevice, what.Agency, what)
	if err != nil {
		return nil, err
	}
	return api.ApproveDevice202JSONResponse{AskedJSONResponse: out}, nil
}

// RevokeDevice asks to take a device out of the network. One that nobody has let in is
// out at once.
func (s *Server) RevokeDevice(ctx context.Context, r api.RevokeDeviceRequestObject) (api.RevokeDeviceResponseObject, error) {
	ctx, by := acting(ctx)
	agency, err := s.cfg.Network.RefuseDevice(ctx, by, r.Device)
	switch {
	case err == nil:
		return api.RevokeDevice204Response{}, nil
	case !errors.Is(err, network.ErrConflict):
		return nil, err
	}
	out, err := s.ask(ctx, by, roster.DoRemoveDevice, agency, &roster.RemoveDevice{ID: r.Device})
	if err != nil {
		return nil, err
	}
	return api.RevokeDevice202JSONResponse{AskedJSONResponse: out}, nil
}

func stateOf(d network.Device) api.DeviceState {
	switch {
	case d.Revoked:
		return api.DeviceStateRevoked
	case d.Pending:
		return api.DeviceStatePending
	default:
		return api.DeviceStateActive
	}
}
